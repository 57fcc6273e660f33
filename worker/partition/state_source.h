// Where a partition's state comes from when it is opened: this disk, a checkpoint, or nothing but the log.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/state/partition_db.h"
#include "worker/checkpoint/selection.h"
#include "worker/partition/partition_id.h"
#include "worker/state/data_dir.h"
#include "worker/state/state_store.h"

namespace millrace {

// A partition that could begin with its whole log waits for a store that does not answer until so many
// openings have failed.
inline constexpr int kMaxStoreFailures = 6;

// Of one opening. Not thread-safe. Blocks (disk and checkpoint store).
class StateSource {
 public:
  struct Options {
    uint64_t state_budget_bytes = 64 << 20;
    BlobStore* checkpoints = nullptr;  // not owned; nullptr: this worker has no store
    int failures = 0;                  // of opening this partition, before
    Histogram restore_seconds;
  };
  StateSource(const PartitionKey& key, Clock& clock, DataDir& data_dir,
              std::shared_ptr<DbResources> resources, const Options& options);

  // The state on this disk, perhaps empty. One that is damaged is thrown away with a warning.
  absl::StatusOr<std::unique_ptr<StateStore>> OpenLocal();

  struct Chosen {
    std::unique_ptr<StateStore> store;
    Offset checkpoint;  // of the newest in the store not known to be bad; 0: none, or it could not be asked
  };
  // What PlanStart (worker/checkpoint/selection.h) says: `local` as it is, or a checkpoint in its place.
  // `log_begins_at`: the first message that the log still has. DATA_LOSS: nothing leads on to it without a
  // gap. UNAVAILABLE and the like: the store does not answer, and it is worth waiting for.
  absl::StatusOr<Chosen> Choose(std::unique_ptr<StateStore> local, uint64_t log_begins_at);

  // The state that was chosen is no good after all: it is removed from this disk, and a checkpoint that it
  // came from is not chosen again. REQUIRES: it is not open.
  absl::Status ThrowAway();

 private:
  absl::Status FindCheckpoints(StartFacts* facts);
  // Puts the checkpoint in the place of the state on this disk. REQUIRES: that is not open.
  absl::StatusOr<std::unique_ptr<StateStore>> Restore(const CheckpointId& id);
  absl::Status NothingLeadsOn(const StartFacts& facts, size_t checkpoints_found) const;
  absl::StatusOr<std::unique_ptr<StateStore>> Open();
  DataDir::Partition folder() const { return {key_.uid, key_.segment, key_.partition}; }

  const PartitionKey key_;
  Clock& clock_;
  DataDir& data_dir_;
  const std::shared_ptr<DbResources> resources_;
  Options options_;
  std::optional<CheckpointId> chosen_;  // the checkpoint that the state came from
  std::set<CheckpointId> unfit_;        // found to be no good
};

}  // namespace millrace
