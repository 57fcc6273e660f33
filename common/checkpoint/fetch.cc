#include "common/checkpoint/fetch.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/checkpoint/catalog.h"
#include "common/failpoint.h"
#include "common/hash/sha256.h"
#include "common/state/row_key.h"
#include "common/strings.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

CheckpointLayout LayoutOf(const CheckpointPlace& place) {
  return {place.uid, place.segment, place.partition};
}

absl::StatusOr<CheckpointManifest> ReadGoodManifest(BlobStore& store, const CheckpointPlace& place,
                                                    const CheckpointId& id) {
  absl::StatusOr<CheckpointManifest> manifest = ReadManifest(store, LayoutOf(place), id);
  if (!manifest.ok()) return manifest.status();
  const CommitRow& commit = manifest->commit;
  if (commit.uid != place.uid || commit.segment != place.segment || commit.partition != place.partition ||
      manifest->id != id) {
    return absl::DataLossError(StrCat("its manifest is that of job ", commit.uid, ", partition ",
                                      commit.segment.value(), "-", commit.partition.value(), ", epoch ",
                                      manifest->id.epoch.value(), ", offset ", manifest->id.offset.value()));
  }
  return manifest;
}

// Not synced: what a power cut takes of it, the checksums tell, and it is fetched again.
absl::Status FetchOnce(BlobStore& store, const std::string& object, const CheckpointFile& file,
                       const std::string& path) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  Sha256 sha;
  uint64_t bytes = 0;
  const absl::Status got = store.Get(object, [&](std::string_view piece) {
    bytes += piece.size();
    if (bytes > file.bytes) return absl::DataLossError(StrCat(file.object, " is longer than it was"));
    sha.Update(piece);
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    return out ? absl::OkStatus() : absl::ResourceExhaustedError(StrCat("cannot write ", path));
  });
  if (absl::IsNotFound(got)) return absl::DataLossError(StrCat(file.object, " is gone"));
  if (!got.ok()) return got;
  out.close();
  if (!out) return absl::ResourceExhaustedError(StrCat("cannot write ", path));
  if (bytes == file.bytes && Hex(sha.Finish()) == file.sha256) return absl::OkStatus();
  return absl::DataLossError(StrCat(file.object, " does not match its checksum"));
}

absl::Status FetchFile(BlobStore& store, const std::string& object, const CheckpointFile& file,
                       const std::string& path) {
  absl::Status status;
  for (int tries = 0; tries < kMaxFetchTries; ++tries) {
    status = FetchOnce(store, object, file, path);
    if (!absl::IsUnavailable(status)) break;
  }
  return status;
}

// The largest first, so that no fetcher is left with it at the end.
absl::Status FetchFiles(BlobStore& store, const CheckpointLayout& layout, std::vector<CheckpointFile> files,
                        const std::string& folder) {
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  std::atomic<size_t> next{0};
  absl::Mutex mutex;
  absl::Status first_error;
  const auto fetch = [&] {
    for (size_t i = next++; i < files.size(); i = next++) {
      const CheckpointFile& file = files[i];
      const absl::Status status =
          FetchFile(store, layout.files() + file.object, file, StrCat(folder, "/", file.name));
      MILLRACE_FAILPOINT("in_fetch");
      absl::MutexLock lock(&mutex);
      if (first_error.ok()) first_error = status;
      if (!first_error.ok()) return;
    }
  };
  std::vector<std::thread> fetchers;
  for (size_t i = 1; i < std::min(kRestoreFetchers, files.size()); ++i) fetchers.emplace_back(fetch);
  fetch();
  for (std::thread& fetcher : fetchers) fetcher.join();
  return first_error;
}

// The files are those that were put; that they are a database, with that commit in it, is another matter.
absl::Status CheckFetched(const std::string& folder, const std::shared_ptr<DbResources>& resources,
                          const CheckpointManifest& manifest) {
  absl::StatusOr<std::unique_ptr<PartitionDb>> db = PartitionDb::Open(folder, resources);
  if (!db.ok()) return db.status();
  // The owner's disk may have damaged them before they were put.
  if (absl::Status status = (*db)->VerifyChecksums(); !status.ok()) return status;
  const absl::StatusOr<std::optional<std::string>> row = (*db)->Get(kCommitRowKey);
  if (!row.ok()) return row.status();
  if (row->has_value() && **row == EncodeCommitRow(manifest.commit)) return absl::OkStatus();
  return absl::DataLossError("its database does not hold the commit that its manifest names");
}

}  // namespace

absl::StatusOr<CheckpointManifest> FetchCheckpoint(BlobStore& store, const CheckpointPlace& place,
                                                   const CheckpointId& id, const std::string& folder,
                                                   const std::shared_ptr<DbResources>& resources) {
  absl::StatusOr<CheckpointManifest> manifest = ReadGoodManifest(store, place, id);
  if (!manifest.ok()) return manifest.status();
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) return absl::UnavailableError(StrCat("cannot make the folder ", folder, ": ", error.message()));
  absl::Status status = FetchFiles(store, LayoutOf(place), manifest->files, folder);
  if (status.ok()) status = CheckFetched(folder, resources, *manifest);
  if (!status.ok()) return status;
  return manifest;
}

}  // namespace millrace
