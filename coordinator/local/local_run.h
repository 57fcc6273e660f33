// A job's stages over one state in memory, here in this process: what `try` and `test` run.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/job/job_spec.h"
#include "common/pipeline/memory_state.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

// Every record is a frame of its own, whose offset counts records from 1, so that all keys meet in the order
// of the input. Log time begins with 2000 and goes on by a millisecond a record: the same input gives the
// same output, always. Not thread-safe.
class LocalRun {
 public:
  static absl::StatusOr<std::unique_ptr<LocalRun>> Create(const JobSpec& spec);

  // Errors: ABORTED, the record fails the job.
  absl::Status Feed(const RecordView& record, StepSink& sink);
  // The end of the input: timers fire, `final` is emitted.
  absl::Status Finish(StepSink& sink);

  uint64_t records() const { return records_; }

 private:
  LocalRun() = default;
  absl::Status Step(FrameBuilder& builder, StepSink& sink);

  std::unique_ptr<Pipeline> pipeline_;
  MemoryState state_;
  FrameBuilder data_{FrameKind::kData};
  FrameView frame_;
  uint64_t offset_ = 0;
  uint64_t records_ = 0;
  int64_t watermark_ms_ = kNoTime;
};

}  // namespace millrace
