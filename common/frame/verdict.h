// A verdict: a decision about a record that is no function of the log. It stands in the partition's verdict
// stream before anything that follows from it leaves. On the wire a kVerdict frame with one raw record: key
// "offset.record", value the reason, header "stage" the stage's name (verdicts of earlier versions have
// none); the message's marks count the verdicts of the stream.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/ids.h"

namespace millrace {

// "This record's user code overran its time": one attempt of the record is used up.
struct Verdict {
  Offset offset;
  uint32_t record = 0;  // its position in the frame
  std::string reason;
  std::string stage;  // whose code it was; may be empty
};

std::string EncodeVerdict(const Verdict& verdict);
// DATA_LOSS when the bytes are no such frame.
absl::StatusOr<Verdict> ParseVerdict(std::string_view payload);

}  // namespace millrace
