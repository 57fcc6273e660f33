#include "coordinator/local/local_run.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {
constexpr int64_t kFirstLogTimeMs = 946'684'800'000;  // 2000-01-01T00:00:00Z
}  // namespace

absl::StatusOr<std::unique_ptr<LocalRun>> LocalRun::Create(const JobSpec& spec) {
  auto pipeline = Pipeline::Create(spec, PipelineOptions());
  if (!pipeline.ok()) return pipeline.status();
  auto run = std::unique_ptr<LocalRun>(new LocalRun());
  run->pipeline_ = *std::move(pipeline);
  return run;
}

absl::Status LocalRun::Feed(const RecordView& record, StepSink& sink) {
  data_.Reset(FrameKind::kData);
  RecordView framed = record;
  if (record.shape >= kFirstRowShape && record.fields != nullptr) {
    framed.shape = data_.InternShape(*record.fields);
  }
  data_.Add(framed);
  watermark_ms_ = std::max(watermark_ms_, record.time_ms);
  data_.SetWatermark(watermark_ms_);
  ++records_;
  return Step(data_, sink);
}

absl::Status LocalRun::Finish(StepSink& sink) {
  FrameBuilder end(FrameKind::kEnd);
  end.SetWatermark(kEndOfTime);
  return Step(end, sink);
}

absl::Status LocalRun::Step(FrameBuilder& builder, StepSink& sink) {
  auto frame = FrameView::Parse(builder.Finish());
  if (!frame.ok()) return frame.status();
  frame_ = *std::move(frame);
  StepInput input;
  input.offset = Offset(++offset_);
  input.broker_time_ms = kFirstLogTimeMs + static_cast<int64_t>(offset_);
  input.frame = &frame_;
  input.ends_input = frame_.kind() == FrameKind::kEnd;
  while (true) {
    const auto step = pipeline_->Step(input, state_, sink);
    if (!step.ok()) return step.status();
    if (step->done) return absl::OkStatus();
    input.first_record = step->resume_record;
  }
}

}  // namespace millrace
