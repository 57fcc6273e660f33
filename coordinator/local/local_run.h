// A job's stages over states in memory, here in this process: what `try` and `test` run.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/job/segments.h"
#include "common/pipeline/memory_state.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/local/local_handlers.h"

namespace millrace {

// Each segment is one partition here, so that all keys meet in the order of the input. A record of the input
// is a message of its own for every segment: the first gets the record, each other what the one before it put
// out for it, be it nothing. Offsets count records from 1, log time begins with 2000 and goes on by a
// millisecond a record: the same input gives the same output, always. Not thread-safe.
class LocalRun {
 public:
  // `observer` (not owned, may be null) is told of calls of user code. `handlers` (not owned, outlives the run)
  // serves the stages whose code runs in handler processes; null: such a stage ends the run. `answers` (likewise): of
  // services; null: they are asked.
  static absl::StatusOr<std::unique_ptr<LocalRun>> Create(const JobSpec& spec, CallObserver* observer,
                                                          LocalHandlers* handlers = nullptr,
                                                          AnswerSource* answers = nullptr);

  // Errors: ABORTED, the record fails the job; UNAVAILABLE, no handler came.
  absl::Status Feed(const RecordView& record, StepSink& sink);
  // The end of the input: timers fire, `final` is emitted.
  absl::Status Finish(StepSink& sink);

  uint64_t records() const { return records_; }

 private:
  struct Segment {
    SegmentId id;
    std::unique_ptr<CallMemos> calls;  // null: no stage has handlers
    VerdictAttempts attempts;
    std::unique_ptr<Pipeline> pipeline;
    MemoryState state;
    FrameBuilder input{FrameKind::kData};  // of the next message
    FrameView frame;
    uint64_t offset = 0;
    int64_t watermark_ms = kNoTime;  // of the next message
  };
  class Handover;

  LocalRun() = default;
  // Runs what waits in `input` of every segment, one after the other.
  absl::Status RunAll(StepSink& sink);
  absl::Status Step(Segment& segment, FrameBuilder& message, StepSink& sink);
  absl::Status StepInto(size_t segment, FrameBuilder& message, StepSink& sink);
  void TellWatermark(const Segment& from, Segment& to);

  LocalHandlers* handlers_ = nullptr;
  AnswerSource* answers_ = nullptr;
  std::vector<std::unique_ptr<Segment>> segments_;
  uint64_t records_ = 0;
  uint64_t steps_ = 0;
};

// Copies the record to the end of the frame.
void AppendRecord(const RecordView& record, FrameBuilder* frame);

}  // namespace millrace
