// A partition's log as those who bring dead letters back write it: the writer "retry".
//
// A retry is exactly once because its mark counts. The n-th retry that counts in a log goes from mark n - 1
// to mark n and names its letter in the header; which letters were retried, and so which mark is next, is
// read from the log itself under R3. Whoever appends decides on the whole log before:
//
//   killed before or after an append, run again   the log says whether it is there
//   an answer lost, or two at once                the same mark again, of which R3 takes one: if that was
//                                                 another letter's, the log shows it, and this one goes on
//   a stopped process that wakes up               the mark of its message is taken: it counts for nothing
//
// So nothing needs to be claimed (R4). The append also carries the expected last sequence: not as a fence,
// but because behind the input's end nothing more is run, and the end mark must not slip in between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/frame/writer_cursors.h"
#include "common/ids.h"
#include "common/job/segments.h"

namespace millrace {

inline constexpr int kMaxRetryAppends = 200;  // of one letter, while others append to the log as well
inline constexpr absl::Duration kRetryAmbiguousWait = absl::Milliseconds(100);

// Uses the bus's Poll. Not thread-safe.
class RetryLog {
 public:
  RetryLog(Bus& bus, Clock& clock, const JobRecord& job, const SegmentSpec& segment, PartitionId partition);

  // Reads on to the log's present end. FAILED_PRECONDITION: its beginning was purged, so that nobody can say
  // what was retried. DATA_LOSS: a later version wrote to it.
  absl::Status CatchUp();
  // Where the letter's record came back; nullopt: not yet. As of the last CatchUp.
  std::optional<Offset> Find(const std::string& id) const;

  // Brings the letter back, unless it is back: `frame` holds its record. Answers where it is.
  // FAILED_PRECONDITION: the partition's input has ended.
  absl::StatusOr<Offset> Append(const std::string& id, std::string_view frame);

 private:
  bool Take(const MessageHeader& header, Offset offset);
  bool HasEnded() const;

  Bus& bus_;
  Clock& clock_;
  const std::string stream_;
  const std::string subject_;
  const std::vector<std::string> feeders_;  // whose end marks, together, end the input
  WriterCursors cursors_;
  uint64_t read_until_ = 0;
  absl::flat_hash_map<std::string, Offset> retried_;
};

}  // namespace millrace
