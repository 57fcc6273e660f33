// The checkpoints that one owner of a partition puts into the store, one after the other: files that the
// store does not have yet, then the manifest; then what is old is deleted (collection.h says what may be).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/blob/blob_store.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"
#include "common/clock.h"
#include "worker/checkpoint/collection.h"
#include "worker/checkpoint/linked_checkpoint.h"
#include "worker/partition/partition_id.h"

namespace millrace {

// Not thread-safe: one thread at a time. Blocks.
//
// Invariant: a manifest is put only when every file that it names was put, by this owner, or was named by a
// manifest that this owner read.
class CheckpointSeries {
 public:
  struct Options {
    std::string engine;  // this build's version
    size_t keep = kDefaultKeptCheckpoints;
    absl::Duration grace = kCollectionGrace;
    std::function<bool()> stopping;  // asked between two files; true ends the upload
  };
  struct Stored {
    CheckpointId id;
    uint64_t put_bytes = 0;  // of files that the store did not have
  };

  CheckpointSeries(BlobStore& store, Clock& clock, const PartitionKey& key, Epoch epoch,
                   const Options& options);

  // FAILED_PRECONDITION: a later owner has checkpoints, and this one must not put any more. CANCELLED:
  // stopping. Otherwise the store's errors, or the disk's. After an error the checkpoints before are as they
  // were, and the next Store begins where this one broke.
  absl::StatusOr<Stored> Store(const LinkedCheckpoint& linked);

  // Deletes what is no longer needed. `newest_owner`: whether no later epoch was claimed; asked before
  // anything is deleted. Answers the checkpoints that are kept; none where this owner may not delete, or one of
  // them has a damaged manifest.
  absl::StatusOr<std::vector<CheckpointId>> Collect(
      const std::function<absl::StatusOr<bool>()>& newest_owner);

 private:
  // The files that earlier owners left, by checksum: what is the same is not put again.
  absl::Status LearnFiles();
  absl::StatusOr<CheckpointFile> StoreFile(const LinkedCheckpoint& linked, const std::string& name,
                                           uint64_t* put_bytes);
  absl::StatusOr<std::set<std::string>> NamedFiles(const std::vector<CheckpointId>& manifests);

  BlobStore& store_;
  Clock& clock_;
  const PartitionKey key_;
  const Epoch epoch_;
  const Options options_;
  const CheckpointLayout layout_;

  bool learned_ = false;
  std::map<std::string, CheckpointFile> by_checksum_;  // until the first checkpoint of this owner is there
  std::map<std::string, CheckpointFile> put_;  // shared files that are in the store, by their local name
  std::map<CheckpointId, std::set<std::string>> named_;  // objects that each kept manifest names
  UnnamedFiles unnamed_;
};

}  // namespace millrace
