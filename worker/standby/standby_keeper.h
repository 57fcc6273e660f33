// The copies that a worker keeps of partitions that others own: as their standby, or because it is to own them
// next. One thread looks at the checkpoint store for each of them, from time to time.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/blob/blob_store.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/metrics.h"
#include "common/threads.h"
#include "worker/partition/partition_id.h"
#include "worker/runtime/task_thread.h"
#include "worker/standby/partition_copy.h"
#include "worker/standby/wanted_copies.h"
#include "worker/state/data_dir.h"

namespace millrace {

// How often the store is asked for a partition's newest checkpoint: as a standby, at most; and while a move
// waits for the copy, which the leader bounds (kCopyAheadLimit).
inline constexpr absl::Duration kStandbyInterval = absl::Seconds(5);
inline constexpr absl::Duration kAwaitedInterval = absl::Milliseconds(200);

// Follow, Step, Reports and Stop are for one thread (the manager); none of them waits for the store or the
// disk, but Stop.
class StandbyKeeper {
 public:
  struct Options {
    absl::Duration interval = kStandbyInterval;  // between two looks of a standby
    std::function<void()> on_news = {};  // something that is awaited has changed; on the keeper's thread
    Counter fetched_bytes = {};
  };
  // All of them outlive it.
  StandbyKeeper(BlobStore& store, const DataDir& data_dir, std::shared_ptr<DbResources> resources,
                Clock& clock, Metrics& metrics, const Options& options, Threads& threads = SystemThreads());
  ~StandbyKeeper();

  // The copies to keep from now on. What is not among them is let go: its folder is not touched by anything
  // that begins from now on.
  void Follow(const WantedCopies& wanted);
  // Wakes the thread when one of them is due.
  void Step();
  // Of the copies whose state on this disk is known by now.
  std::vector<CopyReport> Reports() const;
  // Counts what is to be told at once: changes of copies that somebody waits for.
  uint64_t changes() const { return changes_; }
  bool Keeps(const std::string& uid) const;

  // Waits until nothing that was begun for a partition works on its folder. Thread-safe; waits for the disk
  // alone. REQUIRES: it was let go.
  void AwaitFolder(const PartitionKey& key);

  // Lets go of everything; what is being fetched ends with the next piece of its file.
  void BeginStop() { Follow({}); }
  bool idle() const { return !at_it_; }
  // Waits for that.
  void Stop();

 private:
  struct Kept {
    explicit Kept(std::unique_ptr<PartitionCopy> made) : copy(std::move(made)) {}
    const std::unique_ptr<PartitionCopy> copy;
    CopyUrgency urgency = CopyUrgency::kStandby;
    absl::Duration due_at;
    std::optional<Offset> offset;  // nullopt: not known yet
    Gauge offset_metric;
    bool failed = false;  // the last look
  };

  // Of those that are due the one that is awaited, and for the longest; it is at work from then on. Null: none.
  std::shared_ptr<Kept> TakeDue();
  void LookAtDue();
  void TakeIn(Kept& kept, const absl::StatusOr<PartitionCopy::Outcome>& outcome);

  BlobStore& store_;
  const DataDir& data_dir_;
  const std::shared_ptr<DbResources> resources_;
  Clock& clock_;
  Metrics& metrics_;
  const Options options_;
  Counter fetched_bytes_;  // of options_, to be added to
  std::atomic<bool> at_it_{false};
  std::atomic<uint64_t> changes_{0};
  mutable absl::Mutex mutex_;  // never held while a copy works
  std::map<PartitionKey, std::shared_ptr<Kept>> kept_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Kept> at_work_ ABSL_GUARDED_BY(mutex_);  // of the thread: perhaps let go since
  TaskThread thread_;                                      // last: it uses the rest
};

}  // namespace millrace
