#include "worker/partition/segment_writer.h"

#include <algorithm>
#include <utility>

#include "common/broker_limits.h"
#include "common/check.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kMaxSpareSegmentFrames = 64;

std::vector<std::string> Subjects(const PartitionKey& partition, size_t downstreams) {
  std::vector<std::string> subjects;
  for (uint32_t d = 0; d < downstreams; ++d) {
    subjects.push_back(InputSubject(partition.job, SegmentId(partition.segment.value() + 1), PartitionId(d)));
  }
  return subjects;
}

AppenderOptions AppendOptions(const SegmentWriterLimits& limits, uint64_t cookie_base) {
  AppenderOptions options;
  options.cookie_base = cookie_base;
  options.max_partition_bytes = limits.max_unconfirmed_bytes;
  options.max_bytes = limits.max_unconfirmed_bytes;
  options.ack_deadline = limits.ack_deadline;
  options.first_backoff = absl::Milliseconds(20);
  options.patience = absl::InfiniteDuration();
  return options;
}

}  // namespace

SegmentWriter::SegmentWriter(const SegmentWriterStart& start, const SegmentWriterLimits& limits, Bus& bus,
                             Clock& clock, uint64_t cookie_base)
    : partition_(start.partition),
      writer_(start.partition.writer()),
      epoch_(start.epoch),
      limits_(limits),
      clock_(clock),
      appender_(bus, clock, Subjects(start.partition, start.marks.size()), "",
                AppendOptions(limits, cookie_base)),
      routes_(start.marks.size()),
      flushed_at_(clock.Monotonic()),
      told_at_(clock.Monotonic()) {
  if (start.offset > Offset(0)) done_ = Mark::AfterFrame(start.offset);
  for (size_t d = 0; d < routes_.size(); ++d) {
    Route& route = routes_[d];
    route.known = start.marks[d];
    route.low = route.queued = route.emitted = route.known.mark;
    route.records = route.known.records;
  }
}

void SegmentWriter::Emit(const RecordView& record) {
  const uint32_t d = PartitionOf(record.key, static_cast<uint32_t>(routes_.size())).value();
  Route& route = routes_[d];
  const Mark label = {record.offset.value(), record.index};
  if (label < route.low) return;
  // One that is large goes alone: kMaxOutputBytes and a frame around it fit into a message, two may not.
  if (route.open != nullptr && OutputBytesOf(record) > limits_.max_message_bytes) Close(d);
  if (route.open == nullptr) {
    Open(route, record.offset);
    open_.push_back(d);
  }
  RecordView labelled = record;
  if (record.shape >= kFirstRowShape) {
    if (record.fields != route.fields || route.fields_frame != frames_) {
      route.shape = route.open->InternShape(*record.fields);
      route.fields = record.fields;
      route.fields_frame = frames_;
    }
    labelled.shape = route.shape;
  }
  if (!record.raw_headers.empty()) {
    if (absl::StatusOr<HeaderList> headers = DecodeHeaders(record.raw_headers); headers.ok())
      route.open->AddHeaders(*headers);
  }
  const size_t before = route.open->size();
  route.open->Add(labelled);
  const size_t after = route.open->size();
  open_bytes_ += after - before;
  route.emitted = {label.offset, label.index + 1};
  if (after >= limits_.max_message_bytes) Close(d);
}

void SegmentWriter::Open(Route& route, Offset first) {
  if (spare_.empty()) {
    route.open = std::make_unique<FrameBuilder>(FrameKind::kResults);
  } else {
    route.open = std::move(spare_.back());
    spare_.pop_back();
    route.open->Reset(FrameKind::kResults);
  }
  route.open_first = first;
  route.fields = nullptr;
}

void SegmentWriter::FinishFrame(Offset frame, int64_t watermark_ms) {
  done_ = std::max(done_, Mark::AfterFrame(frame));
  // That the input has ended is the end mark's to say, behind everything that the end puts out.
  if (watermark_ms != kEndOfTime) watermark_ms_ = std::max(watermark_ms_, watermark_ms);
  ++frames_;
  if (open_bytes_ >= limits_.max_open_bytes) CloseAll();
}

void SegmentWriter::Flush() {
  if (open_.empty() || clock_.Monotonic() - flushed_at_ < limits_.linger) return;
  CloseAll();
}

void SegmentWriter::FlushAll() { CloseAll(); }

void SegmentWriter::CloseAll() {
  flushed_at_ = clock_.Monotonic();
  while (!open_.empty()) Close(open_.back());
  open_bytes_ = 0;
}

// Between two frames everything up to done_ is in the message or went before it. Within one, the mark stands
// behind the last output.
void SegmentWriter::Close(uint32_t d) {
  Route& route = routes_[d];
  std::erase(open_, d);
  std::unique_ptr<FrameBuilder> frame = std::move(route.open);
  open_bytes_ -= std::min(open_bytes_, frame->size());
  route.records += frame->record_count();
  route.watermark_ms = watermark_ms_;
  frame->SetWatermark(watermark_ms_);
  Push(d, FrameKind::kResults, frame->Finish(), route.open_first);
  if (spare_.size() < kMaxSpareSegmentFrames) spare_.push_back(std::move(frame));
}

void SegmentWriter::Push(uint32_t d, FrameKind kind, std::string_view payload, std::optional<Offset> first) {
  Route& route = routes_[d];
  const Mark upto = std::max({route.queued, done_, route.emitted});
  PendingAppend append;
  append.header =
      FormatMessageHeader({kind, partition_.uid, writer_, epoch_, route.queued, upto, route.records});
  append.payload.assign(payload);
  route.queued = upto;
  route.unconfirmed.push_back({first, upto});
  appender_.Push(d, std::move(append));
  MILLRACE_FAILPOINT("after_output_sent");
}

void SegmentWriter::FinishInput() {
  if (ended_) return;
  CloseAll();
  ended_ = true;
  for (uint32_t d = 0; d < routes_.size(); ++d) {
    FrameBuilder end(FrameKind::kEnd);
    end.SetWatermark(watermark_ms_);
    Push(d, FrameKind::kEnd, end.Finish(), std::nullopt);
    if (d == 0) MILLRACE_FAILPOINT("between_end_marks");
  }
}

bool SegmentWriter::HasRoom() const { return status_.ok() && appender_.HasRoom(); }

bool SegmentWriter::HandleAppended(uint64_t cookie, const absl::Status& status, uint64_t sequence) {
  if (!appender_.Owns(cookie)) return false;
  const std::string trouble = appender_.trouble();
  if (absl::Status handled = appender_.HandleOutcome(cookie, status, sequence); !handled.ok()) {
    status_ = handled;
    return true;
  }
  if (appender_.trouble() != trouble && !appender_.trouble().empty()) {
    LogWarning("the next segment takes no outputs: waiting",
               {{"partition", partition_.ToString()}, {"why", appender_.trouble()}});
  }
  PopConfirmed(AppendPartition(cookie));
  return true;
}

void SegmentWriter::PopConfirmed(uint32_t d) {
  if (d >= routes_.size()) return;
  Route& route = routes_[d];
  const uint64_t confirmed = appender_.confirmed(d);
  if (confirmed == route.confirmed_count) return;
  for (; route.confirmed_count < confirmed; ++route.confirmed_count) {
    route.known.confirmed = route.unconfirmed.front().upto;
    route.unconfirmed.pop_front();
  }
  route.known.confirmed_sequence = appender_.confirmed_sequence(d);
  MILLRACE_FAILPOINT("after_output_ack");
}

void SegmentWriter::Tick() {
  if (absl::Status ticked = appender_.Tick(); !ticked.ok()) status_ = ticked;
  Flush();
  if (clock_.Monotonic() - told_at_ >= limits_.watermark_interval) TellWatermark();
}

// Timers of the next segment wait for the slowest of its writers, also for one that has nothing to send.
void SegmentWriter::TellWatermark() {
  told_at_ = clock_.Monotonic();
  if (ended_ || watermark_ms_ == kNoTime || !HasRoom()) return;
  for (uint32_t d = 0; d < routes_.size(); ++d) {
    Route& route = routes_[d];
    if (route.open != nullptr || route.watermark_ms >= watermark_ms_ || done_ <= route.queued) continue;
    FrameBuilder empty(FrameKind::kResults);
    empty.SetWatermark(watermark_ms_);
    route.watermark_ms = watermark_ms_;
    Push(d, FrameKind::kResults, empty.Finish(), std::nullopt);
  }
}

bool SegmentWriter::AckedUpTo(Offset offset) const {
  const auto waits = [offset](const Route& route) {
    if (route.open != nullptr && route.open_first <= offset) return true;
    // Labels rise: the first message with outputs has the lowest.
    const auto first = std::find_if(route.unconfirmed.begin(), route.unconfirmed.end(),
                                    [](const Unconfirmed& message) { return message.first.has_value(); });
    return first != route.unconfirmed.end() && *first->first <= offset;
  };
  if (waits(routes_[waited_for_])) return false;
  for (uint32_t d = 0; d < routes_.size(); ++d) {
    if (!waits(routes_[d])) continue;
    waited_for_ = d;
    return false;
  }
  return true;
}

size_t SegmentWriter::in_flight() const {
  size_t messages = 0;
  for (const Route& route : routes_) messages += route.unconfirmed.size();
  return messages;
}

void SegmentWriter::FillCommitRow(CommitRow* row) const {
  DownstreamMarks marks;
  marks.reserve(routes_.size());
  for (const Route& route : routes_) {
    marks.push_back(route.known);
    // The write follows the acknowledgement of every output given so far (R2), those not sent yet included.
    marks.back().mark = route.emitted;
    marks.back().records = route.records + (route.open == nullptr ? 0 : route.open->record_count());
  }
  row->epoch = epoch_;
  row->downstream_marks = EncodeDownstreamMarks(marks);
}

void SegmentWriter::CheckInvariants() const {
  for (const Route& route : routes_) {
    Mark at = route.known.confirmed;
    for (const Unconfirmed& message : route.unconfirmed) {
      MILLRACE_CHECK(at <= message.upto);
      at = message.upto;
    }
    MILLRACE_CHECK(at <= route.queued);
    MILLRACE_CHECK(route.low <= route.emitted);
  }
}

}  // namespace millrace
