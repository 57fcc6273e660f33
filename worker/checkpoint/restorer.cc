#include "worker/checkpoint/restorer.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/checkpoint/fetch.h"

namespace millrace {

absl::StatusOr<RestoredCheckpoint> RestoreCheckpoint(BlobStore& store, const PartitionKey& key,
                                                     const CheckpointId& id, const DataDir& data_dir,
                                                     const std::shared_ptr<DbResources>& resources) {
  const DataDir::Partition partition = {key.uid, key.segment, key.partition};
  const absl::StatusOr<std::string> folder = data_dir.PartitionFolder(partition);
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::string> aside = data_dir.AsideFolder(partition, "restore");
  if (!aside.ok()) return aside.status();
  std::error_code error;
  const absl::Cleanup clean_up = [&] { std::filesystem::remove_all(*aside, error); };
  RestoredCheckpoint restored;
  FetchOptions options;
  options.local_folder = *folder;
  options.fetched_bytes = &restored.fetched_bytes;
  absl::StatusOr<CheckpointManifest> manifest =
      FetchCheckpoint(store, {key.uid, key.segment, key.partition}, id, *aside, resources, options);
  if (!manifest.ok()) return manifest.status();
  if (absl::Status status = data_dir.Replace(partition, *aside); !status.ok()) return status;
  restored.manifest = *std::move(manifest);
  return restored;
}

}  // namespace millrace
