// Where a replay of a partition's log begins: with its first message, or behind a checkpoint, where what came
// before was deleted, or need not be run again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/bus/bus.h"
#include "common/checkpoint/layout.h"
#include "common/cluster/documents.h"
#include "common/ids.h"
#include "common/job/job_spec.h"
#include "common/pipeline/state.h"
#include "common/state/commit_row.h"
#include "common/state/partition_db.h"

namespace millrace {

struct ReplayStart {
  Offset offset;                    // the first message that is replayed stands behind it
  std::optional<CommitRow> commit;  // nullopt: the log is whole, and is replayed from its first message
  std::string folder;               // of the commit's database
};

// What is wanted of a start.
struct ReplayWish {
  // The nearest before this message, also where the log is whole; nullopt: as much of the log as there is.
  std::optional<Offset> before = {};
  // So many of the oldest that would do are passed over, but for the last: the log is being deleted behind them.
  size_t passed_over = 0;
};

// Which checkpoints may serve, the best first. From each of them the log leads on. Pure.
std::vector<CheckpointId> PlanReplayStart(std::vector<CheckpointId> there, uint64_t log_begins_at,
                                          const ReplayWish& wish);

// Finds starts, and holds the checkpoints that were fetched for them in a temporary folder as long as it lives.
// Blocks. Not thread-safe.
class ReplayStarts {
 public:
  // `checkpoints`: where the workers put them; null: nowhere. Both outlive it.
  ReplayStarts(Bus& bus, BlobStore* checkpoints) : bus_(bus), checkpoints_(checkpoints) {}
  ~ReplayStarts();
  ReplayStarts(const ReplayStarts&) = delete;
  ReplayStarts& operator=(const ReplayStarts&) = delete;

  // FAILED_PRECONDITION: the log's beginning is deleted, as the job wants it, and no checkpoint leads on. DATA_LOSS:
  // the stream is not the one that the checkpoint was made of. Otherwise the broker's errors, the store's, the
  // disk's.
  absl::StatusOr<ReplayStart> Find(const JobRecord& job, Retain retain, SegmentId segment,
                                   PartitionId partition, const ReplayWish& wish = {});
  // What the checkpoint says of the start's state. REQUIRES: it has a commit, and `state` is empty.
  absl::Status Load(const ReplayStart& start, State* state);
  // Which checkpoints could not be used, and why, for people.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  absl::Status MakeFolder();
  absl::StatusOr<std::optional<ReplayStart>> Fetch(const JobRecord& job, SegmentId segment,
                                                   PartitionId partition, const CheckpointId& id);

  Bus& bus_;
  BlobStore* const checkpoints_;
  std::shared_ptr<DbResources> resources_;
  std::string folder_;  // empty: not made yet
  int fetched_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace millrace
