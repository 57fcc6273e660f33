// Streams read by pulling, several at once, each up to a sequence known beforehand (or for ever): what the
// command line reads logs and results with. Owns the bus's Poll while it lives.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"

namespace millrace {

inline constexpr absl::Duration kStreamStallDeadline =
    absl::Seconds(30);                        // no message of a stream for so long
inline constexpr int kMaxStreamReopens = 10;  // in a row, without a message between
inline constexpr size_t kPollEvents = 4096;   // taken from the bus at a time
inline constexpr absl::Duration kPollWait =
    absl::Milliseconds(100);  // between looks at signals and deadlines

struct StreamRange {
  std::string stream;
  uint64_t first = 1;
  uint64_t last = 0;  // the last wanted; kNoEnd: for ever
  bool headers_only = false;
  bool allow_gaps = false;          // messages may have been deleted one by one; `last` itself must be there
  uint32_t window_messages = 1024;  // of it that wait in memory
  bool await_stream = false;        // one that is not there is waited for
};
inline constexpr uint64_t kNoEnd = UINT64_MAX;

// Messages wait in memory for at most one reader window a stream. Not thread-safe.
class StreamSet {
 public:
  using Id = size_t;

  StreamSet(Bus& bus, Clock& clock) : bus_(bus), clock_(clock) {}
  ~StreamSet();
  StreamSet(const StreamSet&) = delete;
  StreamSet& operator=(const StreamSet&) = delete;

  Id Open(const StreamRange& range);
  void Close(Id id);
  // Gives a stream that was opened without an end its end.
  void LimitTo(Id id, uint64_t last);

  // The stream's next message, in order, without gaps; nullopt behind the range's end. Errors: NOT_FOUND, no
  // such stream (any more); DATA_LOSS, the stream lacks messages; DEADLINE_EXCEEDED, the broker is silent;
  // CANCELLED, a stop signal.
  absl::StatusOr<std::optional<Message>> Next(Id id);

  // Any stream's next message, as they come: for following. `message` is nullopt when none came within
  // `wait`.
  struct Arrival {
    Id id = 0;
    std::optional<Message> message;
  };
  absl::StatusOr<Arrival> NextOfAny(absl::Duration wait);

 private:
  struct Stream {
    StreamRange range;
    ReaderId reader = 0;
    uint64_t received = 0;  // the last sequence that arrived
    uint64_t taken = 0;     // the last sequence that the caller took
    std::deque<Message> waiting;
    int reopens = 0;
    absl::Status error;
  };
  void OpenReader(Stream* stream);
  absl::Status PollOnce(absl::Duration wait);
  void HandleMessage(Stream* stream, Message message);
  void HandleReaderError(Stream* stream, const absl::Status& status);
  Message Take(Stream* stream);

  Bus& bus_;
  Clock& clock_;
  std::map<Id, Stream> streams_;
  std::map<ReaderId, Id> by_reader_;
  Id next_id_ = 0;
  Id next_turn_ = 0;  // where NextOfAny looks first, so that none starves
  std::vector<BusEvent> events_;
};

}  // namespace millrace
