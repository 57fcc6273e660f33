// The writer's side of rules R2 to R4 towards the next segment: each output goes to the partition of its new
// key, in messages that chain (prev, upto) for each of those partitions, pipelined, without expected
// sequences (other partitions and ticks write to the same streams); what was refused or is ambiguous is sent
// again from there, in order, and readers drop what they have.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/append/appender.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/frame.h"
#include "worker/partition/downstream_mark.h"
#include "worker/partition/output_writer.h"
#include "worker/partition/partition_id.h"

namespace millrace {

struct SegmentWriterLimits {
  size_t max_message_bytes = 64 << 10;     // a message is closed at this size; larger outputs go alone
  size_t max_open_bytes = 2 << 20;         // of all messages being filled; then all of them are closed
  size_t max_unconfirmed_bytes = 4 << 20;  // sent or waiting to be sent; then the partition waits
  // Messages are filled for so long before they leave, unless it has been quiet for as long before.
  absl::Duration linger = absl::Milliseconds(10);
  // An idle partition tells the watermark that its log has come to so often.
  absl::Duration watermark_interval = absl::Seconds(1);
  absl::Duration ack_deadline = absl::Seconds(5);  // then the append is ambiguous
};

// What the opener knows of a partition's place among the segments.
struct SegmentWriterStart {
  PartitionKey partition;
  Epoch epoch;
  Offset offset;          // everything up to it is in the state, and its outputs are out
  DownstreamMarks marks;  // behind this owner's epoch mark in each stream
};

class SegmentWriter final : public OutputWriter {
 public:
  SegmentWriter(const SegmentWriterStart& start, const SegmentWriterLimits& limits, Bus& bus, Clock& clock,
                uint64_t cookie_base);

  void Emit(const RecordView& record) override;
  void FinishFrame(Offset frame, int64_t watermark_ms) override;
  void Flush() override;
  void FlushAll() override;
  void FinishInput() override;
  bool HasRoom() const override;
  bool HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence) override;
  void HandleReconnected() override { appender_.HandleReconnected(); }
  void Tick() override;
  bool AckedUpTo(Offset offset) const override;
  bool end_acked() const override { return ended_ && appender_.idle(); }
  size_t in_flight() const override;
  absl::Status status() const override { return status_; }
  void FillCommitRow(CommitRow* row) const override;
  void CheckInvariants() const override;

 private:
  // A message that was handed to the appender and is not confirmed.
  struct Unconfirmed {
    std::optional<Offset> first;  // the first output's; none in a message without
    Mark upto;
  };
  // One partition of the next segment.
  struct Route {
    Mark low;      // outputs before it are not sent: they are there
    Mark queued;   // behind the last message handed to the appender
    Mark emitted;  // behind the last output given
    uint64_t records = 0;
    int64_t watermark_ms = kNoTime;      // that the last message carried
    std::unique_ptr<FrameBuilder> open;  // collects outputs
    Offset open_first;                   // of the first output in `open`
    const FieldNames* fields = nullptr;  // whose shape in `open` is `shape`
    uint64_t fields_frame = 0;           // valid for this frame alone: another may use the address again
    uint32_t shape = 0;
    std::deque<Unconfirmed> unconfirmed;
    uint64_t confirmed_count = 0;  // as the appender counts
    DownstreamMark known;          // for the commit: since, confirmed
  };

  void Open(Route& route, Offset first);
  void Close(uint32_t route);
  void CloseAll();
  void Push(uint32_t route, FrameKind kind, std::string_view payload, std::optional<Offset> first);
  void PopConfirmed(uint32_t route);
  void TellWatermark();

  const PartitionKey partition_;
  const std::string writer_;
  const Epoch epoch_;
  const SegmentWriterLimits limits_;
  Clock& clock_;
  Appender appender_;
  std::vector<Route> routes_;
  std::vector<uint32_t> open_;  // routes with an open message
  std::vector<std::unique_ptr<FrameBuilder>> spare_;
  size_t open_bytes_ = 0;           // of the messages in open_, as of the last output of each
  Mark done_;                       // behind the last finished frame
  uint64_t frames_ = 1;             // counts them
  int64_t watermark_ms_ = kNoTime;  // as of done_
  absl::Duration flushed_at_;
  absl::Duration told_at_;
  bool ended_ = false;
  absl::Status status_;
  mutable uint32_t waited_for_ = 0;  // the route that was last found unacknowledged
};

}  // namespace millrace
