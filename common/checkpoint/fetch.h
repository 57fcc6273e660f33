// Fetching a checkpoint: the store's files into a folder, every one checked. What is here already is not fetched.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"
#include "common/ids.h"
#include "common/state/partition_db.h"

namespace millrace {

inline constexpr size_t kRestoreFetchers = 4;  // files at once
inline constexpr int kMaxFetchTries = 3;       // of a file whose transfer broke

// Whose checkpoints.
struct CheckpointPlace {
  std::string uid;
  SegmentId segment;
  PartitionId partition;
};

struct FetchOptions {
  // Of a database that may have some of the files already: those are linked and not fetched. It is only looked
  // at, and may change or go meanwhile. Empty: there is none.
  std::string local_folder = {};
  // A file of that folder that is known to have this content is not read to find out. Called from several
  // threads; empty: none is known.
  std::function<bool(const CheckpointFile&)> is_known = {};
  // Asked again and again, from several threads; true ends it with CANCELLED. Empty: nothing does.
  std::function<bool()> stopping = {};
  uint64_t* fetched_bytes = nullptr;  // how much came from the store, also after an error
};

// Makes `folder`, and in it the database of checkpoint `id`, which nobody has open. Blocks; fetches in threads
// of its own. REQUIRES: the folder's parent is there, the folder is empty or is not.
//
// DATA_LOSS: the checkpoint is missing, damaged, or another partition's. Other errors are the store's or the
// disk's. After an error the folder is to be removed.
absl::StatusOr<CheckpointManifest> FetchCheckpoint(BlobStore& store, const CheckpointPlace& place,
                                                   const CheckpointId& id, const std::string& folder,
                                                   const std::shared_ptr<DbResources>& resources,
                                                   const FetchOptions& options = {});

}  // namespace millrace
