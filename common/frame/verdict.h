// A verdict: a decision about a record that is no function of the log. It stands in the partition's verdict
// stream before anything that follows from it leaves. On the wire a kVerdict frame with one raw record: key
// "offset.record", value the reason, header "stage" the stage's name (verdicts of earlier versions have
// none), header "outcome" `failed` or `lost` where no code overran its time; the message's marks count the verdicts of the stream.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/ids.h"

namespace millrace {

// One attempt of the record is used up.
struct Verdict {
  enum class Outcome {
    kOverran,  // its code overran its time, and its process ended
    kFailed,   // a handler process said that its call fails
    kLost,     // a handler process that had its call alone was lost, or lied
  };
  Offset offset;
  uint32_t record = 0;  // its position in the frame
  std::string reason;
  std::string stage;  // whose code it was; may be empty
  Outcome outcome = Outcome::kOverran;
};

std::string EncodeVerdict(const Verdict& verdict);
// DATA_LOSS when the bytes are no such frame.
absl::StatusOr<Verdict> ParseVerdict(std::string_view payload);

}  // namespace millrace
