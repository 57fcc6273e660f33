#include "worker/checkpoint/linked_checkpoint.h"

#include <optional>
#include <utility>

#include "common/state/row_key.h"
#include "common/strings.h"

namespace millrace {

absl::StatusOr<LinkedCheckpoint> LinkCommit(const DataDir& data_dir, const PartitionKey& key, Epoch epoch,
                                            PartitionDb& db) {
  const absl::StatusOr<std::string> folder =
      data_dir.AsideFolder({key.uid, key.segment, key.partition}, StrCat("checkpoint-", epoch.value()));
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::optional<std::string>> row = db.Get(kCommitRowKey);
  if (!row.ok()) return row.status();
  if (!row->has_value()) return absl::NotFoundError("there is no commit yet");
  absl::StatusOr<CommitRow> commit = DecodeCommitRow(**row);
  if (!commit.ok()) return commit.status();
  if (absl::Status status = db.LinkCheckpoint(*folder); !status.ok()) return status;
  return LinkedCheckpoint{key, epoch, *folder, *std::move(commit), /*trims_log=*/false};
}

}  // namespace millrace
