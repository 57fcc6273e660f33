#include "worker/standby/partition_copy.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "common/checkpoint/catalog.h"
#include "common/checkpoint/fetch.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/state/commit_row.h"
#include "common/state/row_key.h"
#include "common/strings.h"

namespace millrace {

PartitionCopy::PartitionCopy(const PartitionKey& key, BlobStore& store, const DataDir& data_dir,
                             std::shared_ptr<DbResources> resources)
    : key_(key), store_(store), data_dir_(data_dir), resources_(std::move(resources)) {}

absl::Status PartitionCopy::LetGoError() const {
  return absl::CancelledError(StrCat("the copy of ", key_.ToString(), " is not wanted any more"));
}

// What an owner left here, or a copy of another life. Damage is no error: the copy begins with nothing then.
absl::Status PartitionCopy::ReadLocal() {
  absl::MutexLock lock(&folder_);
  if (let_go_) return LetGoError();
  const absl::StatusOr<std::string> folder =
      data_dir_.PartitionFolder({key_.uid, key_.segment, key_.partition});
  if (!folder.ok()) return folder.status();
  knows_local_ = true;
  std::error_code error;
  if (!std::filesystem::exists(*folder, error)) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<PartitionDb>> db = PartitionDb::Open(*folder, resources_);
  absl::Status status = db.status();
  if (db.ok()) {
    const absl::StatusOr<std::optional<std::string>> row = (*db)->Get(kCommitRowKey);
    status = row.status();
    if (row.ok() && row->has_value()) {
      const absl::StatusOr<CommitRow> commit = DecodeCommitRow(**row);
      status = commit.status();
      if (commit.ok()) local_ = commit->offset;
    }
  }
  if (status.ok() || absl::IsDataLoss(status)) return absl::OkStatus();
  knows_local_ = false;
  return status;
}

absl::StatusOr<PartitionCopy::Outcome> PartitionCopy::BringUpToDate() {
  if (!knows_local_) {
    if (absl::Status status = ReadLocal(); !status.ok()) return status;
  }
  absl::StatusOr<std::vector<CheckpointId>> found =
      ListCheckpoints(store_, {key_.uid, key_.segment, key_.partition});
  if (!found.ok()) return found.status();
  // Deleted ones never come back.
  std::erase_if(unfit_,
                [&](const CheckpointId& id) { return std::count(found->begin(), found->end(), id) == 0; });
  std::sort(found->begin(), found->end(), std::greater<>());
  Outcome outcome{local_};
  for (const CheckpointId& id : *found) {
    if (id.offset <= local_) break;
    if (unfit_.contains(id)) continue;
    absl::Status taken = Take(id, &outcome);
    if (absl::IsDataLoss(taken) && !known_.empty()) {
      known_.clear();  // a file here may have been damaged since: all of them are read this time
      taken = Take(id, &outcome);
    }
    if (taken.ok()) break;
    if (!absl::IsDataLoss(taken)) return taken;
    unfit_.insert(id);
    LogWarning("a checkpoint cannot be copied; the one before is looked at",
               {{"partition", key_.ToString()}, {"offset", id.offset.value()}, {"why", taken}});
  }
  return outcome;
}

absl::Status PartitionCopy::Take(const CheckpointId& id, Outcome* outcome) {
  const DataDir::Partition partition = {key_.uid, key_.segment, key_.partition};
  const absl::StatusOr<std::string> folder = data_dir_.PartitionFolder(partition);
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::string> aside = data_dir_.AsideFolder(partition, "standby");
  if (!aside.ok()) return aside.status();
  std::error_code error;
  const absl::Cleanup clean_up = [&] { std::filesystem::remove_all(*aside, error); };
  uint64_t fetched_bytes = 0;
  FetchOptions options;
  options.local_folder = *folder;
  options.fetched_bytes = &fetched_bytes;
  options.stopping = [this] { return let_go_.load(); };
  options.is_known = [this](const CheckpointFile& file) {
    const auto known = known_.find(file.name);
    return known != known_.end() && known->second == file.sha256;
  };
  const absl::StatusOr<CheckpointManifest> manifest =
      FetchCheckpoint(store_, {key_.uid, key_.segment, key_.partition}, id, *aside, resources_, options);
  outcome->fetched_bytes += fetched_bytes;
  if (!manifest.ok()) return manifest.status();
  MILLRACE_FAILPOINT("standby_fetched");
  {
    absl::MutexLock lock(&folder_);
    if (let_go_) return LetGoError();
    if (absl::Status moved = data_dir_.Replace(partition, *aside); !moved.ok()) return moved;
  }
  local_ = outcome->offset = id.offset;
  known_.clear();
  for (const CheckpointFile& file : manifest->files) {
    if (IsSharedFile(file.name)) known_.emplace(file.name, file.sha256);
  }
  return absl::OkStatus();
}

}  // namespace millrace
