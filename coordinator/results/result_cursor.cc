#include "coordinator/results/result_cursor.h"

#include <utility>

#include "common/strings.h"

namespace millrace {
namespace {

absl::Status Damaged(PartitionId partition, const Message& message, std::string_view why) {
  return absl::DataLossError(StrCat("results of partition ", partition.value(), ", message ",
                                    message.sequence, ": ", why,
                                    " — the stream was changed from outside or the broker lost data"));
}

}  // namespace

ResultCursor::ResultCursor(std::string uid, SegmentId segment, PartitionId partition)
    : partition_(partition), writer_(OwnerWriter(segment, partition)), cursors_(std::move(uid)) {}

bool ResultCursor::ended() const { return cursors_.Get(writer_).ended; }
Mark ResultCursor::mark() const { return cursors_.Get(writer_).mark; }
Epoch ResultCursor::epoch() const { return cursors_.Get(writer_).epoch; }

absl::Status ResultCursor::Take(const Message& message, const Visit& visit) {
  const auto read = ReadMessageHeader(message.header);
  if (!read.ok()) return Damaged(partition_, message, ToStd(read.status().message()));
  const std::optional<MessageHeader>& header = *read;
  if (!header.has_value() || header->writer != writer_) {
    ++dropped_messages_;  // somebody else's message on our subject is no result
    return absl::OkStatus();
  }
  const Mark before = mark();
  if (cursors_.Offer(*header) != WriterCursors::Verdict::kTake) {
    ++dropped_messages_;
    return absl::OkStatus();
  }
  if (header->kind != FrameKind::kResults) return absl::OkStatus();
  auto frame = FrameView::Parse(message.payload);
  if (!frame.ok()) return Damaged(partition_, message, ToStd(frame.status().message()));
  frame_ = *std::move(frame);
  auto records = frame_.records();
  RecordView record;
  Mark last = before;
  while (records.Next(&record)) {
    const Mark at{record.offset.value(), record.index};
    // A message that was cut anew after a take-over may begin before the mark.
    if (at < before) continue;
    if (at < last) return Damaged(partition_, message, "labels do not rise");
    last = {at.offset, at.index + 1};
    if (const absl::Status status = visit(record); !status.ok()) return status;
  }
  if (!records.status().ok()) return Damaged(partition_, message, ToStd(records.status().message()));
  return absl::OkStatus();
}

}  // namespace millrace
