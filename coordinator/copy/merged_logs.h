// A job's input as its logs hold it: the messages of all partitions that count (R3), in one order.
//
// The next message is that of the partition whose log time, with it, is least; of equals the lower partition's. Log
// time is the greatest broker time so far in that log. So the order is a function of logs that change no more, the
// same for every reader, also one that goes on with what an earlier one has begun, of this release or another; and
// messages come about as they were appended, whatever partition they are in. Partition after partition would keep
// each key's order as well, and fail twice: behind the first partition event time would stand at its end, so that all
// that the others hold is late; and where N is a multiple of the old number, keys of one old partition live in few
// of the new ones, so that few workers would have work at a time.
//
// Watermark: a frame's says how far event time had come in the whole input when it was closed. The least of those
// last read in each partition is therefore where event time had come at a place of the input up to which every
// partition has been read: nothing that is told later was not late there already.
//
// What counts as input: records of the ingest, of files that were added beside a source, and of strangers. A dead
// letter's retry does not: its record stands in the log at its own place already. What stands behind the end mark
// neither.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/frame/frame.h"
#include "common/frame/input_judge.h"
#include "common/ids.h"
#include "coordinator/copy/copied_log.h"

namespace millrace {

// Of all partitions together; each has an equal share, and no less than these.
inline constexpr uint32_t kMergeWindowMessages = 8192;
inline constexpr uint32_t kMinMergeWindowMessages = 8;
inline constexpr uint64_t kMergeWindowBytes = 64 << 20;
inline constexpr uint64_t kMinMergeWindowBytes = 64 << 10;

// Not thread-safe; events come from whoever polls the bus.
class MergedLogs {
 public:
  enum class State { kMessage, kNotReady, kEnd };

  MergedLogs(const std::string& uid, const std::vector<CopiedLog>& logs, Bus& bus);
  ~MergedLogs();
  MergedLogs(const MergedLogs&) = delete;
  MergedLogs& operator=(const MergedLogs&) = delete;

  // True when the event was one of its readers'.
  bool Handle(BusEvent& event);
  // Goes to the next message that has records. DATA_LOSS: a log is gone, lacks messages or its end, or holds one that
  // cannot be read. Others are the broker's.
  absl::StatusOr<State> Next();

  // Of the message that Next came to; valid until the next call.
  const Message& message() const { return logs_[*current_].waiting.front(); }
  const FrameView* frame() const {
    return is_stranger_ ? nullptr : &frame_;
  }  // null: a stranger's, one record

  // Whose log it stands in.
  PartitionId partition() const { return PartitionId(static_cast<uint32_t>(*current_)); }
  // With the messages before that one.
  int64_t watermark_ms() const { return watermark_ms_; }

 private:
  struct Log {
    Log(CopiedLog log, const std::string& uid)
        : what(std::move(log)), judge({kIngestWriter}, WriterCursors(uid)) {}

    CopiedLog what;
    InputJudge judge;
    std::optional<ReaderId> reader;
    uint64_t received = 0;  // the last sequence that arrived
    int reopens = 0;        // in a row
    std::deque<Message> waiting;
    int64_t log_time_ns = 0;
    int64_t watermark_ms = kNoTime;         // of what was read
    int64_t watermark_behind_ms = kNoTime;  // and of the current message
    bool ended = false;                     // its end mark was read
  };

  void OpenReader(size_t index);
  void CloseReader(Log& log);
  void HandleMessage(size_t index, Message message);
  void HandleReaderError(size_t index, const absl::Status& status);
  void AddHead(size_t index);
  // Whether the current message has records that count.
  absl::StatusOr<bool> Judge();
  void FinishCurrent();
  void FinishLog(Log& log);

  Bus& bus_;
  std::vector<Log> logs_;  // by partition
  std::map<ReaderId, size_t> by_reader_;
  bool opened_ = false;
  absl::Status error_;
  size_t unfinished_ = 0;                       // logs
  size_t awaited_ = 0;                          // unfinished ones whose next message has not come
  std::set<std::pair<int64_t, size_t>> heads_;  // log time and partition of those whose has
  std::multiset<int64_t> watermarks_;           // of the unfinished
  int64_t greatest_watermark_ms_ = kNoTime;     // of all
  int64_t watermark_ms_ = kNoTime;              // never falls
  std::optional<size_t> current_;               // whose first waiting message was told
  bool is_stranger_ = false;
  FrameView frame_;
};

}  // namespace millrace
