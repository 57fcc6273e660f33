// A verdict: a decision about a record that is no function of the log. It stands in the partition's verdict
// stream before anything that follows from it leaves. On the wire a kVerdict frame with one raw record: key
// "offset.record", value the reason, header "stage" the stage's name (verdicts of earlier versions have
// none), header "outcome" `failed` or `lost` where no code overran its time; the message's marks count the messages of
// the stream. What a service answered is a verdict, too, and a frame has one or many of these: key "offset.record.nth",
// value the answer, headers "stage", "outcome" `answered`, and "request", which request it is the answer to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/ids.h"

namespace millrace {

// One attempt of the record is used up; or a call of it was answered.
struct Verdict {
  enum class Outcome {
    kOverran,   // its code overran its time, and its process ended
    kFailed,    // a handler process said that its call fails
    kLost,      // a handler process that had its call alone was lost, or lied
    kAnswered,  // by a service
  };
  Offset offset;
  uint32_t record = 0;  // its position in the frame
  std::string reason;   // kAnswered: the answer
  std::string stage;    // whose code it was; may be empty
  Outcome outcome = Outcome::kOverran;
  // kAnswered: which of the record's calls of the stage, and a digest of the request.
  uint32_t nth = 0;
  std::string request = {};
};

// REQUIRES: one verdict, or all of them are answers.
std::string EncodeVerdicts(absl::Span<const Verdict> verdicts);
// DATA_LOSS when the bytes are no such frame.
absl::StatusOr<std::vector<Verdict>> ParseVerdicts(std::string_view payload);

inline std::string EncodeVerdict(const Verdict& verdict) { return EncodeVerdicts({&verdict, 1}); }

}  // namespace millrace
