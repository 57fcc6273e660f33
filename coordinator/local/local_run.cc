#include "coordinator/local/local_run.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {
constexpr int64_t kFirstLogTimeMs = 946'684'800'000;  // 2000-01-01T00:00:00Z
}  // namespace

// Takes a segment's outputs to the next one.
class LocalRun::Handover : public StepSink {
 public:
  Handover(FrameBuilder* next, StepSink& letters) : next_(next), letters_(letters) {}
  void Emit(const RecordView& record) override { AppendRecord(record, next_); }
  void Reject(const DeadLetter& letter) override { letters_.Reject(letter); }

 private:
  FrameBuilder* const next_;
  StepSink& letters_;
};

void AppendRecord(const RecordView& record, FrameBuilder* frame) {
  RecordView framed = record;
  if (record.shape >= kFirstRowShape && record.fields != nullptr) {
    framed.shape = frame->InternShape(*record.fields);
  }
  if (!record.raw_headers.empty()) {
    if (const auto headers = DecodeHeaders(record.raw_headers); headers.ok()) frame->AddHeaders(*headers);
  }
  frame->Add(framed);
}

absl::StatusOr<std::unique_ptr<LocalRun>> LocalRun::Create(const JobSpec& spec, CallObserver* observer,
                                                           LocalHandlers* handlers, AnswerSource* answers) {
  PipelineOptions options;
  options.observer = observer;
  auto run = std::unique_ptr<LocalRun>(new LocalRun());
  run->handlers_ = handlers;
  run->answers_ = answers;
  for (const SegmentSpec& segment : SegmentsOf(spec)) {
    JobSpec alone = segment.job;
    alone.partitions = 1;  // what a limit of a whole stage is shared by
    auto& made = run->segments_.emplace_back(std::make_unique<Segment>());
    if (handlers != nullptr) made->calls = handlers->MakeMemos(alone, /*uid=*/"local", answers);
    options.calls = made->calls.get();
    auto pipeline = Pipeline::Create(alone, options);
    if (!pipeline.ok()) return pipeline.status();
    made->id = segment.id;
    made->pipeline = *std::move(pipeline);
  }
  return run;
}

absl::Status LocalRun::Feed(const RecordView& record, StepSink& sink) {
  Segment& first = *segments_.front();
  AppendRecord(record, &first.input);
  first.watermark_ms = std::max(first.watermark_ms, record.time_ms);
  ++records_;
  return RunAll(sink);
}

absl::Status LocalRun::Finish(StepSink& sink) {
  ++steps_;
  for (size_t s = 0; s < segments_.size(); ++s) {
    // What the end of the segment before has put out comes first.
    if (s > 0) {
      if (const absl::Status status = StepInto(s, segments_[s]->input, sink); !status.ok()) return status;
    }
    FrameBuilder end(FrameKind::kEnd);
    if (const absl::Status status = StepInto(s, end, sink); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LocalRun::RunAll(StepSink& sink) {
  ++steps_;
  for (size_t s = 0; s < segments_.size(); ++s) {
    if (const absl::Status status = StepInto(s, segments_[s]->input, sink); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LocalRun::StepInto(size_t s, FrameBuilder& message, StepSink& sink) {
  if (s + 1 == segments_.size()) return Step(*segments_[s], message, sink);
  Handover handover(&segments_[s + 1]->input, sink);
  absl::Status stepped = Step(*segments_[s], message, handover);
  TellWatermark(*segments_[s], *segments_[s + 1]);
  return stepped;
}

// As between two segments of a cluster: what its end puts out is not behind the watermark that was told before.
void LocalRun::TellWatermark(const Segment& from, Segment& to) {
  const int64_t told_ms = from.pipeline->WatermarkBehind(from.state.progress().watermark_ms);
  if (told_ms != kEndOfTime) to.watermark_ms = std::max(to.watermark_ms, told_ms);
}

absl::Status LocalRun::Step(Segment& segment, FrameBuilder& message, StepSink& sink) {
  message.SetWatermark(segment.watermark_ms);
  auto frame = FrameView::Parse(message.Finish());
  if (!frame.ok()) return frame.status();
  segment.frame = *std::move(frame);
  StepInput input;
  input.offset = Offset(++segment.offset);
  input.broker_time_ms = kFirstLogTimeMs + static_cast<int64_t>(steps_);
  input.segment = segment.id;
  input.frame = &segment.frame;
  input.watermark_ms = segment.frame.watermark_ms();
  input.ends_input = segment.frame.kind() == FrameKind::kEnd;
  input.attempts = &segment.attempts;
  absl::Status status;
  while (true) {
    const auto step = segment.pipeline->Step(input, segment.state, sink);
    status = step.status();
    if (!step.ok() || step->done) break;
    input.first_record = step->resume_record;
    if (!step->waits_for_calls) continue;
    status = handlers_->Await(*segment.calls, &segment.attempts, answers_);
    if (!status.ok()) break;
  }
  if (segment.calls != nullptr) segment.calls->Finish(input.offset);
  message.Reset(FrameKind::kData);
  return status;
}

}  // namespace millrace
