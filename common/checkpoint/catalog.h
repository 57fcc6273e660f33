// What checkpoints the store has of a partition.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "common/blob/blob_store.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"

namespace millrace {

// Good or not, in no order. Errors: the store's.
absl::StatusOr<std::vector<CheckpointId>> ListCheckpoints(BlobStore& store, const CheckpointLayout& layout);

// DATA_LOSS when it is not there or not good; otherwise the store's errors.
absl::StatusOr<CheckpointManifest> ReadManifest(BlobStore& store, const CheckpointLayout& layout,
                                                const CheckpointId& id);

}  // namespace millrace
