// The worker's checkpoints: one thread that puts linked commits into the store, one after the other, and
// deletes what is old, in the store, and in the log where the job does not keep it. A slow store, or none, holds
// up no lane and no commit.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "worker/checkpoint/checkpoint_series.h"
#include "worker/checkpoint/log_trimmer.h"
#include "worker/runtime/task_thread.h"
#include "worker/state/data_dir.h"

namespace millrace {

inline constexpr absl::Duration kDefaultCheckpointInterval = absl::Seconds(30);
inline constexpr absl::Duration kMinCheckpointInterval = absl::Milliseconds(100);
inline constexpr absl::Duration kMaxCheckpointInterval = absl::Hours(24);
// What uploads and deletions that were cut off left in the store is looked for so often, and removed when it
// is older: no upload of one file takes that long.
inline constexpr absl::Duration kTidyInterval = absl::Hours(1);

struct CheckpointMetrics {
  Histogram checkpoint_seconds;
  Counter checkpoint_bytes;
  Counter checkpoint_failures;
  Histogram restore_seconds;
};
CheckpointMetrics MakeCheckpointMetrics(Metrics& metrics);

// Thread-safe. The bus must outlive it; it is asked from this object's thread.
class Checkpointer {
 public:
  struct Options {
    std::string engine;
    size_t keep = kDefaultKeptCheckpoints;
    absl::Duration grace = kCollectionGrace;
    std::function<bool()> may_act;  // whether this worker's lease is good
  };
  Checkpointer(std::unique_ptr<BlobStore> store, Bus& bus, Clock& clock, const Options& options,
               const CheckpointMetrics& metrics);
  // Waits for the file that is being put.
  ~Checkpointer();

  BlobStore& store() { return *store_; }

  // Puts it into the store; `done` is called on this object's thread. At most one for each partition waits.
  struct Outcome {
    absl::StatusOr<Offset> stored;
    absl::Duration took;
  };
  void Submit(LinkedCheckpoint linked, std::function<void(Outcome)> done);

  // Deletes the checkpoints of a partition whose job is gone.
  void Forget(const DataDir::Partition& partition);

  // From now on what waits is dropped, and what runs ends at its next file. Returns at once.
  void BeginStop() { stopping_ = true; }
  // Whether nothing waits or runs.
  bool idle() const { return pending_ == 0; }
  // Waits for that.
  void Stop();

 private:
  struct Owner {
    Epoch epoch;
    std::unique_ptr<CheckpointSeries> series;
    std::unique_ptr<LogTrimmer> trimmer;
  };

  absl::StatusOr<Offset> Store(const LinkedCheckpoint& linked);
  Owner& OwnerOf(const LinkedCheckpoint& linked);
  absl::StatusOr<bool> IsNewestOwner(const PartitionKey& key, Epoch epoch);
  void Collect(const LinkedCheckpoint& linked, Owner& owner);
  void MaybeTidy();
  void SubmitTask(std::function<void()> task);

  const std::unique_ptr<BlobStore> store_;
  Bus& bus_;
  Clock& clock_;
  const Options options_;
  CheckpointMetrics metrics_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> pending_{0};
  std::map<PartitionKey, Owner> owners_;  // of the thread: each partition's newest one here
  absl::Duration tidied_at_;
  TaskThread thread_;  // last: it uses the rest
};

}  // namespace millrace
