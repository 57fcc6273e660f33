// A partition's database read into a state in memory: what a replay begins with.
#pragma once

#include "absl/status/statusor.h"
#include "common/pipeline/state.h"
#include "common/state/commit_row.h"
#include "common/state/partition_db.h"

namespace millrace {

// Puts every row into `state` and answers the commit that they belong to. REQUIRES: `state` is empty.
// DATA_LOSS: there is no commit, or a row is none of a partition's. Otherwise the disk's errors.
absl::StatusOr<CommitRow> LoadState(PartitionDb& db, State* state);

}  // namespace millrace
