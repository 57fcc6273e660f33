// A commit's files by hard links in a folder of their own: the database goes on, and they stay as they are.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/state/commit_row.h"
#include "common/state/partition_db.h"
#include "worker/partition/partition_id.h"
#include "worker/state/data_dir.h"

namespace millrace {

struct LinkedCheckpoint {
  PartitionKey key;
  Epoch epoch;
  std::string folder;  // a database of its own, which nobody else touches
  CommitRow commit;
  bool trims_log = false;  // what all kept checkpoints have passed is deleted from the log (LogTrimmer)
};

// Links the last commit. Takes milliseconds. NOT_FOUND: there is no commit yet. REQUIRES: nothing commits to
// `db` meanwhile; no other one of this owner is linked and in use.
absl::StatusOr<LinkedCheckpoint> LinkCommit(const DataDir& data_dir, const PartitionKey& key, Epoch epoch,
                                            PartitionDb& db);

}  // namespace millrace
