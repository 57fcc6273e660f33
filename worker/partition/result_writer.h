// The writer's side of rules R2 to R4 for one partition's result stream: outputs leave in offset order,
// labelled, in messages that chain (prev, upto), pipelined with the expected last sequence; what was refused
// or is ambiguous is read back and sent again.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/frame.h"
#include "common/frame/writer_cursors.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/output_writer.h"
#include "worker/partition/partition_id.h"

namespace millrace {

struct ResultWriterLimits {
  size_t max_message_bytes = 64 << 10;  // a message is closed at this size; larger outputs go alone
  size_t max_in_flight = 128;           // messages sent and not acknowledged
  size_t max_in_flight_bytes = 4 << 20;
  absl::Duration ack_deadline = absl::Seconds(5);  // then the append is ambiguous
};

// Owned by a lane, as the partition is; not thread-safe, never blocks.
//
// Invariants (checked by CheckInvariants): the marks of queued messages chain without a gap; what is queued is
// done; nothing counts as sent while the tail is unknown. Outputs at or below the low mark are never sent.
class ResultWriter final : public OutputWriter {
 public:
  enum class Condition {
    kStreaming,
    kNeedsTail,  // an append was refused or is ambiguous: somebody must read the tail back and call
                 // HandleTail
    kFenced,     // a message of a later epoch is in the stream: this owner is over
  };

  // `tail` is the result stream as the opener left it: behind this owner's epoch mark.
  ResultWriter(const PartitionKey& partition, Epoch epoch, const LogTail& tail,
               const ResultWriterLimits& limits, Bus& bus, Clock& clock, uint64_t cookie_base);

  void Emit(const RecordView& record) override;
  void FinishFrame(Offset frame, int64_t watermark_ms) override;  // sends what is full
  void Flush() override;
  void FlushAll() override { Flush(); }
  void FinishInput() override;
  bool HasRoom() const override;  // the window has room and the tail is known
  bool HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence) override;
  void HandleReconnected() override;
  void HandleTail(const LogTail& tail);
  void Tick() override;
  bool AckedUpTo(Offset offset) const override { return acked() >= Mark::AfterFrame(offset); }
  absl::Status status() const override { return absl::OkStatus(); }
  void FillCommitRow(CommitRow* row) const override;

  Condition condition() const { return condition_; }
  // Whether the tail is to be read back now; repeated failures wait longer and longer.
  bool WantsTail() const;
  // What to read the tail from: the state of the stream behind the last message acknowledged in order.
  LogTail acked_tail() const;
  // Every output below this mark was acknowledged by the broker.
  Mark acked() const;
  bool end_acked() const override { return end_acked_; }
  size_t in_flight() const override { return sent_; }
  bool idle() const { return in_flight_.empty() && (open_ == nullptr || open_->empty()); }

  void CheckInvariants() const override;

 private:
  struct InFlight {
    std::unique_ptr<FrameBuilder> frame;
    std::string_view payload;
    FrameKind kind;
    Mark prev;
    Mark upto;
    uint64_t records = 0;   // counted over all of the writer's messages, this one's included
    uint64_t expected = 0;  // last sequence that the stream must have
    uint64_t cookie = 0;    // 0: not sent since the tail was read
    absl::Duration sent_at;
    bool acked = false;
  };

  void CloseOpen();
  void Enqueue(std::unique_ptr<FrameBuilder> frame, FrameKind kind, Mark upto);
  void SendWaiting();
  bool SendOne(InFlight& message);
  void PopAcked();
  void LoseTail();
  std::unique_ptr<FrameBuilder> NewFrame();

  const PartitionKey partition_;
  const std::string writer_;
  const std::string subject_;
  const Epoch epoch_;
  const ResultWriterLimits limits_;
  Bus& bus_;
  Clock& clock_;
  const uint64_t cookie_base_;

  Condition condition_ = Condition::kStreaming;
  const Mark low_mark_;                 // what was in the stream when this owner began
  Mark done_;                           // behind the last finished frame
  Mark emitted_;                        // behind the last output given
  Mark queued_;                         // behind the last message in in_flight_
  WriterCursors::Cursor acked_cursor_;  // as of acked_sequence_
  uint64_t acked_sequence_ = 0;
  uint64_t next_expected_ = 0;
  uint64_t records_ = 0;
  uint32_t cookie_counter_ = 0;
  bool end_queued_ = false;
  bool end_acked_ = false;
  absl::Duration tail_due_at_;
  absl::Duration tail_backoff_;
  absl::Duration send_again_at_;  // after a refused send (buffer full, disconnected)

  std::unique_ptr<FrameBuilder> open_;  // collects outputs; not yet in in_flight_
  const FieldNames* open_fields_ = nullptr;
  uint32_t open_shape_ = 0;
  std::deque<InFlight> in_flight_;  // sent, or waiting for the window, in order
  size_t sent_ = 0;                 // how many of in_flight_ were sent
  size_t sent_bytes_ = 0;
  std::vector<std::unique_ptr<FrameBuilder>> spare_;
};

}  // namespace millrace
