// A job's partitions replayed from the broker's streams.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/job/segments.h"
#include "coordinator/streams/stream_set.h"
#include "coordinator/verify/partition_replay.h"
#include "coordinator/verify/recorded_answer_log.h"

namespace millrace {

// The decisions of the partition's verdict stream, under R3. Empty for jobs that give none.
absl::StatusOr<VerdictAttempts> ReadVerdictAttempts(Bus& bus, Clock& clock, const JobRecord& job,
                                                    const SegmentVersions& versions, PartitionId partition);

// One partition's log, replayed message by message. Uses the bus's Poll. Not thread-safe.
class LogReplayer {
 public:
  // Replays from `start`, one of `starts`, up to the log's present end.
  static absl::StatusOr<std::unique_ptr<LogReplayer>> Open(Bus& bus, StreamSet& streams, Clock& clock,
                                                           const JobRecord& job,
                                                           const SegmentVersions& versions,
                                                           PartitionId partition, ReplayStarts& starts,
                                                           const ReplayStart& start, const ReplayAids& aids);

  // Takes the next message. False at the end, behind a record that failed the job (see failure()), and in front of a
  // message that is undecided().
  absl::StatusOr<bool> Step(StepSink& sink, const PartitionReplay::Crossed& crossed = {});

  PartitionReplay& replay() { return *replay_; }
  Offset end() const { return end_; }
  uint64_t bytes() const { return bytes_; }
  // ABORTED with what failed the job, where the log comes to it.
  const absl::Status& failure() const { return failure_; }
  // The message that the log ends before, since its owner has not written down yet what services answered to it.
  const std::optional<Offset>& undecided() const { return undecided_; }

 private:
  struct Parts {
    std::unique_ptr<RecordedAnswerLog> answers;  // null: no version of the code calls services
    std::unique_ptr<PartitionReplay> replay;
  };
  LogReplayer(StreamSet& streams, StreamSet::Id input, Offset end, Parts parts);

  StreamSet& streams_;
  const StreamSet::Id input_;
  const Offset end_;
  const std::unique_ptr<RecordedAnswerLog> answers_;
  const std::unique_ptr<PartitionReplay> replay_;
  uint64_t bytes_ = 0;
  absl::Status failure_;
  std::optional<Offset> undecided_;
};

}  // namespace millrace
