// Fetching a checkpoint: the store's files into a folder, every one checked.
#pragma once

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

// Makes `folder`, and in it the database of checkpoint `id`, which nobody has open. Blocks; fetches in threads
// of its own. REQUIRES: the folder's parent is there, the folder is empty or is not.
//
// DATA_LOSS: the checkpoint is missing, damaged, or another partition's. Other errors are the store's or the
// disk's. After an error the folder is to be removed.
absl::StatusOr<CheckpointManifest> FetchCheckpoint(BlobStore& store, const CheckpointPlace& place,
                                                   const CheckpointId& id, const std::string& folder,
                                                   const std::shared_ptr<DbResources>& resources);

}  // namespace millrace
