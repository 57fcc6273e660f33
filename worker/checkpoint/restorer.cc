#include "worker/checkpoint/restorer.h"

#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "common/checkpoint/fetch.h"

namespace millrace {

absl::StatusOr<CheckpointManifest> RestoreCheckpoint(BlobStore& store, const PartitionKey& key,
                                                     const CheckpointId& id, const DataDir& data_dir,
                                                     const std::shared_ptr<DbResources>& resources) {
  const DataDir::Partition partition = {key.uid, key.segment, key.partition};
  const absl::StatusOr<std::string> aside = data_dir.AsideFolder(partition, "restore");
  if (!aside.ok()) return aside.status();
  std::error_code error;
  const absl::Cleanup clean_up = [&] { std::filesystem::remove_all(*aside, error); };
  absl::StatusOr<CheckpointManifest> manifest =
      FetchCheckpoint(store, {key.uid, key.segment, key.partition}, id, *aside, resources);
  if (!manifest.ok()) return manifest.status();
  if (absl::Status status = data_dir.Replace(partition, *aside); !status.ok()) return status;
  return manifest;
}

}  // namespace millrace
