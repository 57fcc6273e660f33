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

bool IsStopping(const FetchOptions& options) { return options.stopping && options.stopping(); }

// One checkpoint's files on their way into a folder.
class Fetch {
 public:
  Fetch(BlobStore& store, const CheckpointLayout& layout, std::string folder, const FetchOptions& options)
      : store_(store), layout_(layout), folder_(std::move(folder)), options_(options) {}

  // The largest first, so that no fetcher is left with it at the end.
  absl::Status Run(std::vector<CheckpointFile> files) {
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    std::atomic<size_t> next{0};
    absl::Mutex mutex;
    absl::Status first_error;
    const auto work = [&] {
      for (size_t i = next++; i < files.size(); i = next++) {
        const absl::Status status = Take(files[i]);
        absl::MutexLock lock(&mutex);
        if (first_error.ok()) first_error = status;
        if (!first_error.ok()) return;
      }
    };
    std::vector<std::thread> fetchers;
    for (size_t i = 1; i < std::min(kRestoreFetchers, files.size()); ++i) fetchers.emplace_back(work);
    work();
    for (std::thread& fetcher : fetchers) fetcher.join();
    return first_error;
  }
  uint64_t fetched_bytes() const { return fetched_bytes_; }

 private:
  absl::Status Take(const CheckpointFile& file) {
    const std::string path = StrCat(folder_, "/", file.name);
    if (IsSharedFile(file.name) && LinkLocal(file, path)) return absl::OkStatus();
    absl::Status status;
    for (int tries = 0; tries < kMaxFetchTries; ++tries) {
      status = FetchOnce(file, path);
      if (!absl::IsUnavailable(status)) break;
    }
    MILLRACE_FAILPOINT("in_fetch");
    if (status.ok()) fetched_bytes_ += file.bytes;
    return status;
  }

  // False whatever stands in the way: the store has the file.
  bool LinkLocal(const CheckpointFile& file, const std::string& path) {
    if (options_.local_folder.empty()) return false;
    const std::string local = StrCat(options_.local_folder, "/", file.name);
    std::error_code error;
    const uint64_t bytes = fs::file_size(local, error);
    if (error || bytes != file.bytes) return false;
    const bool known = options_.is_known && options_.is_known(file);
    if (!known && Sha256OfFile(local) != file.sha256) return false;
    fs::create_hard_link(local, path, error);
    return !error;
  }

  // Empty where the file cannot be read, or it is stopping.
  std::string Sha256OfFile(const std::string& path) {
    constexpr size_t kPieceBytes = 1 << 20;
    std::ifstream in(path, std::ios::binary);
    std::string piece(kPieceBytes, '\0');
    Sha256 sha;
    while (in && !IsStopping(options_)) {
      in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      sha.Update(std::string_view(piece).substr(0, static_cast<size_t>(in.gcount())));
    }
    return in.eof() ? Hex(sha.Finish()) : "";
  }

  // Not synced: what a power cut takes of it, the checksums tell, and it is fetched again.
  absl::Status FetchOnce(const CheckpointFile& file, const std::string& path) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    Sha256 sha;
    uint64_t bytes = 0;
    const absl::Status got = store_.Get(layout_.files() + file.object, [&](std::string_view piece) {
      if (IsStopping(options_)) return absl::CancelledError("the checkpoint is not wanted any more");
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

  BlobStore& store_;
  const CheckpointLayout layout_;
  const std::string folder_;
  const FetchOptions& options_;
  std::atomic<uint64_t> fetched_bytes_{0};
};

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
                                                   const std::shared_ptr<DbResources>& resources,
                                                   const FetchOptions& options) {
  absl::StatusOr<CheckpointManifest> manifest = ReadGoodManifest(store, place, id);
  if (!manifest.ok()) return manifest.status();
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) return absl::UnavailableError(StrCat("cannot make the folder ", folder, ": ", error.message()));
  Fetch fetch(store, LayoutOf(place), folder, options);
  absl::Status status = fetch.Run(manifest->files);
  if (options.fetched_bytes != nullptr) *options.fetched_bytes = fetch.fetched_bytes();
  if (status.ok()) status = CheckFetched(folder, resources, *manifest);
  if (!status.ok()) return status;
  return manifest;
}

}  // namespace millrace
