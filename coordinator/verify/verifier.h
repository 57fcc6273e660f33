// Does a job's output follow from its input? Replays every partition's log and compares what comes out with
// what is there: results one by one, what crossed from segment to segment, dead letters, epochs, and the
// owner's state where there is an owner.
//
// Where a log's beginning is deleted (`retain: results`), its replay begins at the oldest good checkpoint from which
// the log leads on; what lies before stays unproved, and the report says how much that is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/job_code.h"
#include "common/job/segments.h"
#include "common/pipeline/state_digest.h"
#include "coordinator/local/local_handlers.h"
#include "coordinator/verify/crossing.h"
#include "coordinator/verify/replay_start.h"
#include "coordinator/verify/result_comparer.h"
#include "coordinator/verify/verify_report.h"
#include "coordinator/views/cluster.h"

namespace millrace {

// Uses the bus's Poll. Not thread-safe.
class Verifier {
 public:
  // `checkpoints`: where the workers put them; null: unknown. `handlers`: as in ReplayAids. Not owned.
  Verifier(Bus& bus, Clock& clock, const Cluster& cluster, const JobRecord& job, const JobCode& code,
           BlobStore* checkpoints = nullptr, LocalHandlers* handlers = nullptr);

  // Errors: the broker's, the store's; FAILED_PRECONDITION, a log's beginning is deleted and no checkpoint leads on;
  // UNAVAILABLE, the logs are deleted while they are read. Differences are no error: they are in the report.
  absl::StatusOr<VerifyReport> Run();

 private:
  // How often a verification begins anew, at later checkpoints, when logs were deleted under it.
  static constexpr size_t kMaxTries = 3;

  // What an owner said of its state, before the logs were read.
  struct OwnerState {
    Offset offset;
    StateDigest state;
  };
  struct Partition;

  absl::StatusOr<VerifyReport> RunOnce(size_t tries);
  absl::Status FindStarts(size_t tries);
  const ReplayStart& StartOf(SegmentId segment, PartitionId partition) const;
  std::unique_ptr<Crossing> MakeCrossing(const SegmentSpec& into);
  absl::StatusOr<bool> IsTrimmed(const SegmentSpec& segment, PartitionId partition);
  absl::Status ReadLetters();
  absl::Status ReadClaims();
  absl::Status VerifySegment(const SegmentVersions& versions);
  absl::StatusOr<std::optional<OwnerState>> AskState(SegmentId segment, PartitionId partition);
  Offset SettledOffset(SegmentId segment, PartitionId partition) const;
  absl::Status VerifyPartition(const SegmentVersions& versions, PartitionId partition);
  absl::Status Replay(Partition& at);
  void Conclude(Partition& at);
  void CheckWriters(const Partition& at);
  absl::Status CompareResults(Partition& at);
  absl::Status StepTo(Partition& at, Offset offset);
  absl::Status CompareState(Partition& at);
  void CompareLetters(const Partition& at);

  Bus& bus_;
  Clock& clock_;
  const Cluster& cluster_;
  const JobRecord job_;
  const JobCode code_;
  const bool completed_;
  std::map<std::pair<uint32_t, uint32_t>, std::set<std::string>> letters_;  // ids, by segment and partition
  std::set<std::string> claims_;                                            // epoch keys
  BlobStore* const checkpoints_;
  LocalHandlers* const handlers_;
  const ReplayStart first_message_;
  std::unique_ptr<ReplayStarts> starts_;
  std::vector<absl::StatusOr<ReplayStart>> start_;  // by JobRecord::IndexOf; DATA_LOSS: a difference
  VerifyReport report_;
  // Into the segment under examination, and out of it; null at the job's ends. Segments are examined from the
  // last to the first: what was taken is looked at before what should have been sent.
  std::unique_ptr<Crossing> incoming_, outgoing_;
};

}  // namespace millrace
