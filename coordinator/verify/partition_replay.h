// A partition's log run again here, from its first message or from a checkpoint: the same Step as the worker's
// over a state in memory. What the worker did must come out again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/frame/input_judge.h"
#include "common/job/segments.h"
#include "common/pipeline/memory_state.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/local/local_handlers.h"
#include "coordinator/verify/replay_start.h"

namespace millrace {

// What a replay works with besides the log; nothing of it is owned.
struct ReplayAids {
  UnitObserver* units = nullptr;  // watches each step
  // Of the stages whose code runs in handler processes: they are called again. Null: such a stage ends the replay.
  LocalHandlers* handlers = nullptr;
  // Of the stages that call services. Null: these are asked.
  AnswerSource* answers = nullptr;
};

// Not thread-safe.
class PartitionReplay {
 public:
  // From `start`, whose state the caller puts into state(). `versions`: of the code; each message runs under the one
  // that is in force there.
  static absl::StatusOr<std::unique_ptr<PartitionReplay>> Create(
      SegmentVersions versions, const std::string& uid, PartitionId partition, VerdictAttempts attempts,
      const ReplayStart& start = {}, const ReplayAids& aids = {});

  // The log's next message. REQUIRES: contiguous with the one before. Errors: ABORTED, the job fails here
  // (its `on_error: fail`), and nothing may come after; DATA_LOSS, the message is damaged; UNAVAILABLE, no
  // handler came; OUT_OF_RANGE, what a service answered is not written down: the message has had no effect yet, and
  // nothing may come after.
  // `crossed`, when given, is told of every record of a writer of the segment before that counts.
  using Crossed = std::function<void(const MessageHeader&, const RecordView&)>;
  absl::Status Take(const Message& message, StepSink& sink, const Crossed& crossed = {});

  PartitionId partition() const { return partition_; }
  Offset offset() const { return offset_; }
  uint64_t dropped_messages() const { return dropped_messages_; }  // under R3
  uint64_t code_version() const { return code_version_; }          // in force behind offset()
  const Progress& progress() const { return state_.progress(); }
  Pipeline& pipeline() { return *pipeline_; }
  State& state() { return state_; }
  const WriterCursors& cursors() const { return input_.cursors(); }

 private:
  PartitionReplay(SegmentVersions versions, WriterCursors cursors, PartitionId partition,
                  VerdictAttempts attempts, Offset offset, const ReplayAids& aids);

  absl::Status UseCode(uint64_t version);

  void TellCrossed(const MessageHeader& header, const Mark& taken_until, const Crossed& crossed) const;

  const SegmentVersions versions_;
  const SegmentId segment_;
  const PartitionId partition_;
  const uint32_t partitions_;
  const ReplayAids aids_;
  VerdictAttempts attempts_;
  std::unique_ptr<CallMemos> calls_;    // null: no stage of code_version_ has handlers
  std::unique_ptr<Pipeline> pipeline_;  // of code_version_
  uint64_t code_version_ = 0;
  MemoryState state_;
  InputJudge input_;
  FrameView frame_;
  Offset offset_;
  uint64_t dropped_messages_ = 0;
};

}  // namespace millrace
