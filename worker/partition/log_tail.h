// Reading a stream's tail back: what an owner does when it starts, and after every append whose outcome it
// cannot know.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/writer_cursors.h"

namespace millrace {

// How a stream stands at its end, under rule R3.
struct LogTail {
  WriterCursors cursors{""};
  uint64_t last_sequence = 0;
};

inline constexpr absl::Duration kTailSilenceLimit = absl::Seconds(10);  // no message for so long: give up

// Reads `stream` from `first_sequence` to its present end, or to the message with which `max_payload_bytes` are reached
// (the tail is then the one behind that message), judging each message with `cursors` (as of the
// message before), and hands those that count to `taken` (may be empty). With `headers_only` payloads are not
// sent. Blocks; uses the bus's Poll, so the bus must have no other poller. Errors: DATA_LOSS, the stream ends
// before `first_sequence` - 1: it was rolled back; or a message's header cannot be read; NOT_FOUND;
// DEADLINE_EXCEEDED.
using OnTaken = std::function<absl::Status(const Message&, const MessageHeader&)>;
struct LogTailRequest {
  std::string stream;
  uint64_t first_sequence = 1;
  bool headers_only = true;
  uint64_t max_payload_bytes = UINT64_MAX;
};
absl::StatusOr<LogTail> ReadLogTail(Bus& bus, Clock& clock, const LogTailRequest& request,
                                    WriterCursors cursors, const OnTaken& taken = {});

}  // namespace millrace
