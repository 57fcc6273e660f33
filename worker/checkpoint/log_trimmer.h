// Deletes what every kept checkpoint of a partition has passed from its log (`retain: results`).
//
// In this order, so that whoever dies in between leaves nothing that a reader cannot go on from:
//
//   1. how far the log's writers had come at the commit is made known (common/cluster/log_begin.h)
//   2. the log before the commit's own message is deleted; that message stays, and tells the next owner that
//      the log is the one it knows
//   3. older such notes are deleted
//
// Streams are deleted from by name. Of a request that the network holds back until the job was deleted and
// made again under its name, the new job's partition learns by a log that begins where no state leads on: it
// stops, and says so.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "common/blob/blob_store.h"
#include "common/bus/bus.h"
#include "common/checkpoint/layout.h"
#include "common/ids.h"
#include "common/state/commit_row.h"
#include "worker/partition/partition_id.h"

namespace millrace {

// Of one owner of one partition. Not thread-safe. Blocks, with the bus's own Poll.
class LogTrimmer {
 public:
  // `keep`: how many checkpoints are to be kept.
  LogTrimmer(Bus& bus, BlobStore& store, const PartitionKey& key, size_t keep)
      : bus_(bus), store_(store), key_(key), keep_(keep) {}

  // Deletes the log before the commit of that of the `kept` checkpoints which has come least far. While there
  // are fewer than are to be kept the log stands in for those that are missing: nothing is deleted. REQUIRES:
  // no later owner has claimed the partition. After an error the next call does what is left.
  // FAILED_PRECONDITION: the stream is another job's. Others: the store's and the broker's.
  absl::Status Trim(const std::vector<CheckpointId>& kept);

 private:
  absl::Status TrimTo(const CommitRow& oldest);
  absl::Status NoteBegin(const CommitRow& oldest);
  absl::Status DeleteOlderNotes();

  Bus& bus_;
  BlobStore& store_;
  const PartitionKey key_;
  const size_t keep_;
  Offset trimmed_;                        // up to here it is done
  std::optional<Offset> last_note_ = {};  // of this owner; none yet: those of earlier owners are looked for
};

}  // namespace millrace
