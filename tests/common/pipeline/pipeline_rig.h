// A pipeline over a MemoryState, fed with JSON: what the Step's tests read like.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/frame/frame.h"
#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "common/pipeline/memory_state.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {

// What came out, as text: outputs "key value", labels "offset.index", letters "record stage: error".
class RecordingSink : public StepSink {
 public:
  void Emit(const RecordView& record) override {
    std::string json;
    const absl::Status status = AppendJson(ValueView::Of(record), &json);
    outputs.push_back(StrCat(record.key, " ", status.ok() ? json : status.ToString()));
    labels.push_back(StrCat(record.offset.value(), ".", record.index));
    times.push_back(record.time_ms);
    std::string headers;
    if (!record.raw_headers.empty()) {
      const absl::StatusOr<HeaderList> decoded = DecodeHeaders(record.raw_headers);
      for (const auto& [name, value] : *decoded) StrAppend(&headers, name, "=", value, ";");
    }
    header_texts.push_back(headers);
  }
  void Reject(const DeadLetter& letter) override {
    letters.push_back(StrCat(letter.record, " ", letter.stage, ": ", letter.error));
    letter_attempts.push_back(letter.attempts);
    letter_values.emplace_back(letter.value);
  }

  std::vector<std::string> outputs;
  std::vector<std::string> labels;
  std::vector<int64_t> times;
  std::vector<std::string> header_texts;
  std::vector<std::string> letters;
  std::vector<int> letter_attempts;
  std::vector<std::string> letter_values;
};

struct Input {
  std::string key;
  std::string json;
  int64_t time_ms = kNoTime;
  HeaderList headers = {};
};

inline std::string FrameOf(const std::vector<Input>& records, int64_t watermark_ms = kNoTime,
                           FrameKind kind = FrameKind::kData) {
  FrameBuilder builder(kind);
  JsonReader reader;
  builder.SetWatermark(watermark_ms);
  for (const Input& input : records) {
    EXPECT_TRUE(reader.Parse(input.json).ok()) << input.json;
    RecordView record;
    record.key = input.key;
    record.value = reader.bytes();
    record.shape = reader.is_object() ? builder.InternShape(reader.fields()) : kPackedShape;
    record.time_ms = input.time_ms;
    if (!input.headers.empty()) builder.AddHeaders(input.headers);
    builder.Add(record);
  }
  return std::string(builder.Finish());
}

class PipelineRig {
 public:
  // `stages`: the job file from `stages:` on.
  explicit PipelineRig(const std::string& stages, PipelineOptions options = {})
      : PipelineRig(Parse(stages), options) {}
  PipelineRig(JobSpec spec, PipelineOptions options) : spec_(std::move(spec)), options_(options) {
    Restart();
  }

  PipelineRig(const SegmentSpec& segment, PipelineOptions options) : PipelineRig(segment.job, options) {}

  static JobSpec Parse(const std::string& stages) {
    const std::string text = "name: j\nsource: { format: jsonl }\nkey: k\n" + stages;
    absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", text);
    EXPECT_TRUE(spec.ok()) << spec.status();
    return spec.ok() ? *std::move(spec) : JobSpec();
  }

  // A new pipeline over the state as it is: what a restart makes.
  void Restart() {
    absl::StatusOr<std::unique_ptr<Pipeline>> made = Pipeline::Create(spec_, options_);
    ASSERT_TRUE(made.ok()) << made.status();
    pipeline_ = *std::move(made);
  }

  // Begins anew with a state whose ordered sets hold no more than this.
  void BoundOrderedSets(size_t max_items) {
    state_ = std::make_unique<MemoryState>(max_items);
    Restart();
  }

  // Goes on under other code.
  void Update(JobSpec spec) {
    spec_ = std::move(spec);
    Restart();
  }

  // Feeds one frame; the broker's time is 1000 ms an offset unless said. Stops at a retry.
  absl::StatusOr<StepResult> Feed(const std::vector<Input>& records, int64_t watermark_ms = kNoTime) {
    return FeedFrame(FrameOf(records, watermark_ms));
  }
  absl::StatusOr<StepResult> FeedFrame(std::string frame) {
    frame_ = std::move(frame);
    view_ = *FrameView::Parse(frame_);
    input_ = StepInput();
    input_.offset = Offset(next_offset_++);
    input_.broker_time_ms =
        broker_time_ms >= 0 ? broker_time_ms : static_cast<int64_t>(input_.offset.value()) * 1000;
    input_.frame = &view_;
    input_.watermark_ms = view_.watermark_ms();
    input_.attempts = attempts;
    return Again(0);
  }
  // The same message once more.
  absl::StatusOr<StepResult> Again(uint32_t first_record) {
    input_.first_record = first_record;
    input_.ahead = ahead;
    return pipeline_->Step(input_, *state_, sink);
  }
  absl::StatusOr<StepResult> End() { return FeedEnd(FrameOf({}, kEndOfTime, FrameKind::kEnd)); }
  absl::StatusOr<StepResult> FeedEnd(std::string frame) {
    frame_ = std::move(frame);
    view_ = *FrameView::Parse(frame_);
    input_ = StepInput();
    input_.offset = Offset(next_offset_++);
    input_.broker_time_ms =
        broker_time_ms >= 0 ? broker_time_ms : static_cast<int64_t>(input_.offset.value()) * 1000;
    input_.frame = &view_;
    input_.watermark_ms = view_.watermark_ms();
    input_.ends_input = true;
    return pipeline_->Step(input_, *state_, sink);
  }
  absl::StatusOr<StepResult> FeedStranger(std::string payload, uint32_t partition, uint32_t partitions) {
    frame_ = std::move(payload);
    input_ = StepInput();
    input_.offset = Offset(next_offset_++);
    input_.broker_time_ms = static_cast<int64_t>(input_.offset.value()) * 1000;
    input_.stranger = true;
    input_.payload = frame_;
    input_.partition = PartitionId(partition);
    input_.partitions = partitions;
    return pipeline_->Step(input_, *state_, sink);
  }

  Offset last_offset() const { return Offset(next_offset_ - 1); }
  MemoryState& state() { return *state_; }
  Pipeline& pipeline() { return *pipeline_; }
  const Progress& progress() const { return state_->progress(); }

  RecordingSink sink;
  int64_t broker_time_ms = -1;  // negative: by offset
  const VerdictAttempts* attempts = nullptr;
  MessagesAhead* ahead = nullptr;

 private:
  JobSpec spec_;
  PipelineOptions options_;
  std::unique_ptr<MemoryState> state_ = std::make_unique<MemoryState>();
  std::unique_ptr<Pipeline> pipeline_;
  uint64_t next_offset_ = 1;
  std::string frame_;
  FrameView view_;
  StepInput input_;
};

}  // namespace millrace
