#include "common/checkpoint/catalog.h"

#include <string>

namespace millrace {

absl::StatusOr<std::vector<CheckpointId>> ListCheckpoints(BlobStore& store, const CheckpointLayout& layout) {
  const absl::StatusOr<std::vector<BlobInfo>> found = store.List(layout.manifests());
  if (!found.ok()) return found.status();
  std::vector<CheckpointId> ids;
  for (const BlobInfo& object : *found) {
    if (const auto id = layout.ParseManifest(object.name)) ids.push_back(*id);
  }
  return ids;
}

absl::StatusOr<CheckpointManifest> ReadManifest(BlobStore& store, const CheckpointLayout& layout,
                                                const CheckpointId& id) {
  const absl::StatusOr<std::string> text = ReadBlob(store, layout.Manifest(id), kMaxManifestBytes);
  if (absl::IsNotFound(text.status())) return absl::DataLossError("its manifest is gone");
  if (absl::IsResourceExhausted(text.status())) return absl::DataLossError("its manifest is too large");
  if (!text.ok()) return text.status();
  return DecodeManifest(*text);
}

}  // namespace millrace
