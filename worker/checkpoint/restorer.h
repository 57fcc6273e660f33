// A checkpoint into the place of a partition's state, when all of it is there and good.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"
#include "common/state/partition_db.h"
#include "worker/partition/partition_id.h"
#include "worker/state/data_dir.h"

namespace millrace {

struct RestoredCheckpoint {
  CheckpointManifest manifest;
  uint64_t fetched_bytes = 0;  // files that the folder had already are not fetched
};

// Puts the state of checkpoint `id` into the partition's folder, in place of what is there. Blocks; fetches
// in threads of its own. REQUIRES: the partition's database is not open.
//
// DATA_LOSS: the checkpoint is missing, damaged, or another partition's; what was in the folder is still
// there. Other errors are the store's or the disk's, likewise.
absl::StatusOr<RestoredCheckpoint> RestoreCheckpoint(BlobStore& store, const PartitionKey& key,
                                                     const CheckpointId& id, const DataDir& data_dir,
                                                     const std::shared_ptr<DbResources>& resources);

}  // namespace millrace
