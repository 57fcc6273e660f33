// A partition's log run again here, from its first message: the same Step as the worker's over a state in
// memory. What the worker did must come out again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/frame/writer_cursors.h"
#include "common/job/job_spec.h"
#include "common/pipeline/memory_state.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

// Not thread-safe.
class PartitionReplay {
 public:
  static absl::StatusOr<std::unique_ptr<PartitionReplay>> Create(const JobSpec& spec, const std::string& uid,
                                                                 PartitionId partition,
                                                                 VerdictAttempts attempts);

  // The log's next message. REQUIRES: contiguous with the one before. Errors: ABORTED, the job fails here
  // (its `on_error: fail`), and nothing may come after; DATA_LOSS, the message is damaged.
  absl::Status Take(const Message& message, StepSink& sink);

  Offset offset() const { return offset_; }
  uint64_t dropped_messages() const { return dropped_messages_; }  // under R3
  const Progress& progress() const { return state_.progress(); }
  Pipeline& pipeline() { return *pipeline_; }
  State& state() { return state_; }

 private:
  PartitionReplay(const JobSpec& spec, const std::string& uid, PartitionId partition,
                  VerdictAttempts attempts);

  const PartitionId partition_;
  const uint32_t partitions_;
  const VerdictAttempts attempts_;
  std::unique_ptr<Pipeline> pipeline_;
  MemoryState state_;
  WriterCursors cursors_;
  FrameView frame_;
  Offset offset_;
  uint64_t dropped_messages_ = 0;
};

}  // namespace millrace
