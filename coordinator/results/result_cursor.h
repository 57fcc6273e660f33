// What counts in a partition's result stream: rule R3 as a reader from outside applies it.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "common/bus/bus.h"
#include "common/frame/frame.h"
#include "common/frame/writer_cursors.h"
#include "common/ids.h"

namespace millrace {

// Give it the stream's messages from the first on, in order, or from the one behind that at which it stands.
// Not thread-safe.
class ResultCursor {
 public:
  ResultCursor(std::string uid, SegmentId segment, PartitionId partition);

  // Calls `visit` for every record of the message that counts, in order of its label: none for a message that
  // was sent twice, is a zombie's or another job's, or comes before one that is missing. The record lies in
  // the message. DATA_LOSS when a message that counts is damaged, or labels do not rise.
  using Visit = std::function<absl::Status(const RecordView&)>;
  absl::Status Take(const Message& message, const Visit& visit);

  // Where another one stood, before the first message is given.
  void Restore(const WriterCursors::Cursor& cursor) { cursors_.Restore(writer_, cursor); }

  // The owner's end mark was taken: nothing more will come.
  bool ended() const;
  // Everything before this mark was taken.
  Mark mark() const;
  Epoch epoch() const;
  // Messages that were dropped, for reports.
  uint64_t dropped_messages() const { return dropped_messages_; }

 private:
  const PartitionId partition_;
  const std::string writer_;
  WriterCursors cursors_;
  FrameView frame_;
  uint64_t dropped_messages_ = 0;
};

}  // namespace millrace
