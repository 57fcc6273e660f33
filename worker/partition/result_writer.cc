#include "worker/partition/result_writer.h"

#include <algorithm>

#include "common/broker_limits.h"
#include "common/check.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "worker/partition/cookie.h"

namespace millrace {
namespace {

constexpr size_t kMaxSpareFrames = 8;
constexpr absl::Duration kSendAgainAfter = absl::Milliseconds(20);
// Between readings of the tail when one append after the other fails (a full stream, a broker that is not
// there).
constexpr absl::Duration kFirstTailBackoff = absl::Milliseconds(10);
constexpr absl::Duration kMaxTailBackoff = absl::Seconds(2);

}  // namespace

ResultWriter::ResultWriter(const PartitionKey& partition, Epoch epoch, const LogTail& tail,
                           const ResultWriterLimits& limits, Bus& bus, Clock& clock, uint64_t cookie_base)
    : partition_(partition),
      writer_(partition.writer()),
      subject_(partition.result_subject()),
      epoch_(epoch),
      limits_(limits),
      bus_(bus),
      clock_(clock),
      cookie_base_(cookie_base),
      low_mark_(tail.cursors.Get(writer_).mark),
      done_(low_mark_),
      queued_(low_mark_),
      acked_cursor_(tail.cursors.Get(writer_)),
      acked_sequence_(tail.last_sequence),
      next_expected_(tail.last_sequence),
      records_(acked_cursor_.records),
      end_queued_(acked_cursor_.ended),
      end_acked_(acked_cursor_.ended) {}

std::unique_ptr<FrameBuilder> ResultWriter::NewFrame() {
  if (spare_.empty()) return std::make_unique<FrameBuilder>(FrameKind::kResults);
  std::unique_ptr<FrameBuilder> frame = std::move(spare_.back());
  spare_.pop_back();
  frame->Reset(FrameKind::kResults);
  return frame;
}

void ResultWriter::Emit(const RecordView& record) {
  if (Mark{record.offset.value(), record.index} < low_mark_) return;
  // One that is large goes alone: kMaxOutputBytes and a frame around it fit into a message, two may not.
  if (open_ != nullptr && !open_->empty() && OutputBytesOf(record) > limits_.max_message_bytes) CloseOpen();
  if (open_ == nullptr) {
    open_ = NewFrame();
    open_fields_ = nullptr;
  }
  RecordView labelled = record;
  if (record.shape >= kFirstRowShape) {
    if (record.fields != open_fields_) {
      open_shape_ = open_->InternShape(*record.fields);
      open_fields_ = record.fields;
    }
    labelled.shape = open_shape_;
  }
  if (!record.raw_headers.empty()) {
    if (absl::StatusOr<HeaderList> headers = DecodeHeaders(record.raw_headers); headers.ok())
      open_->AddHeaders(*headers);
  }
  open_->Add(labelled);
  emitted_ = {record.offset.value(), record.index + 1};
  if (open_->size() >= limits_.max_message_bytes) CloseOpen();
}

void ResultWriter::FinishFrame(Offset frame, int64_t /*watermark_ms*/) {
  done_ = std::max(done_, Mark::AfterFrame(frame));
  open_fields_ = nullptr;  // the next frame may use the same address for other names
  if (open_ != nullptr && open_->size() >= limits_.max_message_bytes / 2) CloseOpen();
}

void ResultWriter::Flush() {
  if (open_ != nullptr && !open_->empty() && sent_ == in_flight_.size()) CloseOpen();
  SendWaiting();
}

void ResultWriter::FinishInput() {
  if (end_queued_) return;
  if (open_ != nullptr && !open_->empty()) CloseOpen();
  end_queued_ = true;
  auto frame = std::make_unique<FrameBuilder>(FrameKind::kEnd);
  Enqueue(std::move(frame), FrameKind::kEnd, done_);
}

void ResultWriter::CloseOpen() {
  // A frame that waits for a retry may be out in part: the mark then stands inside it.
  Enqueue(std::move(open_), FrameKind::kResults, std::max(done_, emitted_));
  SendWaiting();
}

void ResultWriter::Enqueue(std::unique_ptr<FrameBuilder> frame, FrameKind kind, Mark upto) {
  InFlight message;
  records_ += frame->record_count();
  message.payload = frame->Finish();
  message.frame = std::move(frame);
  message.kind = kind;
  message.prev = queued_;
  message.upto = upto;
  message.records = records_;
  queued_ = upto;
  in_flight_.push_back(std::move(message));
}

bool ResultWriter::HasRoom() const {
  return condition_ == Condition::kStreaming && in_flight_.size() < limits_.max_in_flight &&
         sent_bytes_ < limits_.max_in_flight_bytes;
}

void ResultWriter::SendWaiting() {
  if (condition_ != Condition::kStreaming) return;
  while (sent_ < in_flight_.size() &&
         (sent_ < limits_.max_in_flight && sent_bytes_ < limits_.max_in_flight_bytes)) {
    if (!SendOne(in_flight_[sent_])) return;
    ++sent_;
  }
}

bool ResultWriter::SendOne(InFlight& message) {
  cookie_counter_ = static_cast<uint32_t>((cookie_counter_ + 1) & kCookieCounterMask);
  message.cookie = cookie_base_ | cookie_counter_;
  message.expected = next_expected_;
  message.sent_at = clock_.Monotonic();
  const std::string header = FormatMessageHeader(
      {message.kind, partition_.uid, writer_, epoch_, message.prev, message.upto, message.records});
  AppendRequest request;
  request.subject = subject_;
  request.header = header;
  request.payload = message.payload;
  if (!MILLRACE_DEFECT("fencing_off")) request.expected_last_sequence = message.expected;
  request.cookie = message.cookie;
  if (absl::Status status = bus_.Append(request); !status.ok()) {
    message.cookie = 0;
    send_again_at_ = clock_.Monotonic() + kSendAgainAfter;
    return false;
  }
  MILLRACE_FAILPOINT("after_output_sent");
  ++next_expected_;
  sent_bytes_ += message.payload.size();
  return true;
}

bool ResultWriter::HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence) {
  if ((cookie & ~kCookieCounterMask) != cookie_base_) return false;
  if (condition_ != Condition::kStreaming) return true;  // the tail will say
  for (size_t i = 0; i < sent_; ++i) {
    InFlight& message = in_flight_[i];
    if (message.cookie != cookie) continue;
    const bool in_place = MILLRACE_DEFECT("fencing_off") || sequence == message.expected + 1;
    if (!status.ok() || !in_place) {
      if (absl::IsResourceExhausted(status)) {
        LogWarning("the result stream is full: waiting",
                   {{"stream", partition_.result_stream()}, {"why", status}});
      }
      LoseTail();
      return true;
    }
    message.acked = true;
    tail_backoff_ = absl::ZeroDuration();
    MILLRACE_FAILPOINT("after_output_ack");
    PopAcked();
    SendWaiting();
    return true;
  }
  return true;  // of a message sent before the tail was read back
}

void ResultWriter::PopAcked() {
  while (sent_ > 0 && in_flight_.front().acked) {
    InFlight& message = in_flight_.front();
    acked_cursor_.mark = message.upto;
    acked_cursor_.records = message.records;
    acked_cursor_.epoch = epoch_;
    if (message.kind == FrameKind::kEnd) end_acked_ = acked_cursor_.ended = true;
    acked_sequence_ = message.expected + 1;
    sent_bytes_ -= message.payload.size();
    if (message.kind == FrameKind::kResults && spare_.size() < kMaxSpareFrames)
      spare_.push_back(std::move(message.frame));
    in_flight_.pop_front();
    --sent_;
  }
}

void ResultWriter::LoseTail() {
  condition_ = Condition::kNeedsTail;
  tail_due_at_ = clock_.Monotonic() + tail_backoff_;
  tail_backoff_ = std::clamp(tail_backoff_ * 2, kFirstTailBackoff, kMaxTailBackoff);
  for (InFlight& message : in_flight_) {
    message.cookie = 0;
    message.acked = false;
  }
  sent_ = 0;
  sent_bytes_ = 0;
}

void ResultWriter::HandleReconnected() {
  if (condition_ == Condition::kStreaming && sent_ > 0) LoseTail();
}

void ResultWriter::HandleTail(const LogTail& tail) {
  const WriterCursors::Cursor cursor = tail.cursors.Get(writer_);
  if (cursor.epoch > epoch_) {
    condition_ = Condition::kFenced;
    return;
  }
  condition_ = Condition::kStreaming;
  // What the stream holds is done, whether its ack arrived or not.
  while (!in_flight_.empty()) {
    const InFlight& message = in_flight_.front();
    const bool is_end = message.kind == FrameKind::kEnd;
    if (is_end ? !cursor.ended : message.upto > cursor.mark) break;
    if (is_end) end_acked_ = true;
    in_flight_.pop_front();
  }
  acked_cursor_ = cursor;
  acked_sequence_ = tail.last_sequence;
  next_expected_ = tail.last_sequence;
  SendWaiting();
}

void ResultWriter::Tick() {
  if (condition_ != Condition::kStreaming) return;
  const absl::Duration now = clock_.Monotonic();
  if (sent_ > 0 && now - in_flight_.front().sent_at > limits_.ack_deadline) {
    LogWarning("no acknowledgement in time: reading the result stream back",
               {{"stream", partition_.result_stream()}});
    LoseTail();
    return;
  }
  if (now >= send_again_at_) SendWaiting();
}

bool ResultWriter::WantsTail() const {
  return condition_ == Condition::kNeedsTail && clock_.Monotonic() >= tail_due_at_;
}

LogTail ResultWriter::acked_tail() const {
  LogTail tail{WriterCursors(partition_.uid), acked_sequence_};
  tail.cursors.Restore(writer_, acked_cursor_);
  return tail;
}

Mark ResultWriter::acked() const {
  if (!in_flight_.empty()) return std::max(low_mark_, in_flight_.front().prev);
  if (open_ != nullptr && !open_->empty()) return std::max(low_mark_, queued_);
  return done_;
}

void ResultWriter::FillCommitRow(CommitRow* row) const {
  const LogTail tail = acked_tail();
  row->epoch = epoch_;
  row->result_sequence = tail.last_sequence;
  row->result_cursors = tail.cursors.Encode();
}

void ResultWriter::CheckInvariants() const {
  Mark at = in_flight_.empty() ? queued_ : in_flight_.front().prev;
  for (const InFlight& message : in_flight_) {
    MILLRACE_CHECK(message.prev == at);
    MILLRACE_CHECK(message.prev <= message.upto);
    at = message.upto;
  }
  MILLRACE_CHECK(at == queued_);
  MILLRACE_CHECK(acked() <= done_ || !in_flight_.empty());
  MILLRACE_CHECK(sent_ <= in_flight_.size());
  MILLRACE_CHECK(condition_ == Condition::kStreaming || sent_ == 0);
}

}  // namespace millrace
