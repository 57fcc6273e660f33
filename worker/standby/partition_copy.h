// The copy of one partition's state on this disk, brought up to the newest good checkpoint by a worker that
// does not own the partition.
//
// The copy is the partition's folder in the data folder, as an owner would leave it: whoever opens the
// partition here finds it as local state, and nothing else happens at a take-over.
//
// The folder belongs to the copy until LetGo, then to an opener. A look at the store works beside the folder
// and touches it twice, briefly and without waiting for the network: to read the commit that is there, and to
// exchange it for a newer one. `folder_` is held meanwhile, so that who has called LetGo and then AwaitFolder
// is alone with it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/blob/blob_store.h"
#include "common/checkpoint/layout.h"
#include "common/state/partition_db.h"
#include "worker/partition/partition_id.h"
#include "worker/state/data_dir.h"

namespace millrace {

class PartitionCopy {
 public:
  // All of them outlive it.
  PartitionCopy(const PartitionKey& key, BlobStore& store, const DataDir& data_dir,
                std::shared_ptr<DbResources> resources);

  const PartitionKey& key() const { return key_; }

  struct Outcome {
    Offset offset;               // of the state on this disk; 0: none
    uint64_t fetched_bytes = 0;  // just now
  };
  // Looks for a newer checkpoint and takes it over. Blocks (store and disk). One thread at a time. After an
  // error what was on the disk is still there: the store's, the disk's, or CANCELLED after LetGo.
  absl::StatusOr<Outcome> BringUpToDate();

  // From now on the folder is not touched by anything that begins. Thread-safe; returns at once.
  void LetGo() { let_go_ = true; }
  // Waits until what had begun is done: disk work alone. Thread-safe. REQUIRES: LetGo was called.
  void AwaitFolder() { absl::MutexLock wait(&folder_); }

 private:
  absl::Status ReadLocal();
  // DATA_LOSS: that checkpoint is no good.
  absl::Status Take(const CheckpointId& id, Outcome* outcome);
  absl::Status LetGoError() const;

  const PartitionKey key_;
  BlobStore& store_;
  const DataDir& data_dir_;
  const std::shared_ptr<DbResources> resources_;
  std::atomic<bool> let_go_{false};
  absl::Mutex folder_;  // held while the partition's folder is opened or exchanged

  // Of the thread that looks.
  bool knows_local_ = false;
  Offset local_;                              // of the commit in the folder
  std::map<std::string, std::string> known_;  // checksums of files that were put into it here, by name
  std::set<CheckpointId> unfit_;              // found to be no good
};

}  // namespace millrace
