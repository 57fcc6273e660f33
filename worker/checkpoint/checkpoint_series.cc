#include "worker/checkpoint/checkpoint_series.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "common/checkpoint/catalog.h"
#include "common/failpoint.h"
#include "common/hash/sha256.h"
#include "common/log.h"
#include "common/strings.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

// The database opens without its options file.
bool IsPartOfCheckpoint(const std::string& name) { return !name.starts_with("OPTIONS-"); }

// Files of the database's tables first: the small ones that name them come last.
absl::StatusOr<std::vector<std::string>> FilesToStore(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (IsPartOfCheckpoint(name)) names.push_back(name);
  }
  if (error) return absl::UnavailableError(StrCat("cannot list ", folder, ": ", error.message()));
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::pair(!IsSharedFile(a), a) < std::pair(!IsSharedFile(b), b);
  });
  return names;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) return absl::UnavailableError(StrCat("cannot read ", path, ": ", error.message()));
  std::string content(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(content.data(), static_cast<std::streamsize>(bytes))) {
    return absl::UnavailableError(StrCat("cannot read ", path));
  }
  return content;
}

}  // namespace

CheckpointSeries::CheckpointSeries(BlobStore& store, Clock& clock, const PartitionKey& key, Epoch epoch,
                                   const Options& options)
    : store_(store),
      clock_(clock),
      key_(key),
      epoch_(epoch),
      options_(options),
      layout_(key.uid, key.segment, key.partition) {}

absl::Status CheckpointSeries::LearnFiles() {
  const absl::StatusOr<std::vector<CheckpointId>> there = ListCheckpoints(store_, layout_);
  if (!there.ok()) return there.status();
  const ManifestsToKeep plan = PlanManifests(*there, epoch_, options_.keep);
  if (plan.fenced) {
    return absl::FailedPreconditionError(
        StrCat(key_.ToString(), " has checkpoints of a later owner than that of epoch ", epoch_.value()));
  }
  for (const CheckpointId& id : plan.keep) {
    const absl::StatusOr<CheckpointManifest> manifest = ReadManifest(store_, layout_, id);
    // What cannot be read is put again.
    if (absl::IsDataLoss(manifest.status())) continue;
    if (!manifest.ok()) return manifest.status();
    for (const CheckpointFile& file : manifest->files) {
      if (IsSharedFile(file.name)) by_checksum_.emplace(file.sha256, file);
    }
  }
  learned_ = true;
  return absl::OkStatus();
}

absl::StatusOr<CheckpointFile> CheckpointSeries::StoreFile(const LinkedCheckpoint& linked,
                                                           const std::string& name, uint64_t* put_bytes) {
  if (const auto known = put_.find(name); known != put_.end()) return known->second;
  const absl::StatusOr<std::string> content = ReadWhole(StrCat(linked.folder, "/", name));
  if (!content.ok()) return content.status();
  CheckpointFile file = {name, "", content->size(), Hex(Sha256Of(*content))};
  const auto same = by_checksum_.find(file.sha256);
  if (IsSharedFile(name) && same != by_checksum_.end() && same->second.bytes == file.bytes) {
    file.object = same->second.object;
  } else {
    const std::string object = layout_.File({epoch_, linked.commit.offset}, name);
    file.object = object.substr(layout_.files().size());
    MILLRACE_FAILPOINT("in_upload");
    if (absl::Status status = store_.Put(object, *content); !status.ok()) return status;
    *put_bytes += file.bytes;
  }
  if (IsSharedFile(name)) put_[name] = file;
  return file;
}

absl::StatusOr<CheckpointSeries::Stored> CheckpointSeries::Store(const LinkedCheckpoint& linked) {
  if (!learned_) {
    if (absl::Status status = LearnFiles(); !status.ok()) return status;
  }
  const absl::StatusOr<std::vector<std::string>> names = FilesToStore(linked.folder);
  if (!names.ok()) return names.status();
  CheckpointManifest manifest;
  manifest.engine = options_.engine;
  manifest.job = key_.job;
  manifest.id = {epoch_, linked.commit.offset};
  manifest.created_ms = absl::ToUnixMillis(clock_.Now());
  manifest.commit = linked.commit;
  Stored stored{manifest.id, 0};
  for (const std::string& name : *names) {
    if (options_.stopping()) return absl::CancelledError("the worker stops");
    absl::StatusOr<CheckpointFile> file = StoreFile(linked, name, &stored.put_bytes);
    if (!file.ok()) return file.status();
    manifest.files.push_back(*std::move(file));
  }
  MILLRACE_FAILPOINT("before_manifest");
  const absl::Status put = store_.Put(layout_.Manifest(manifest.id), EncodeManifest(manifest));
  if (!put.ok()) return put;
  MILLRACE_FAILPOINT("after_manifest");

  // A file that the database has let go never comes back under its name.
  std::set<std::string>& named = named_[manifest.id];
  std::map<std::string, CheckpointFile> still;
  for (const CheckpointFile& file : manifest.files) {
    named.insert(layout_.files() + file.object);
    if (IsSharedFile(file.name)) still.emplace(file.name, file);
  }
  put_ = std::move(still);
  by_checksum_.clear();
  return stored;
}

absl::StatusOr<std::set<std::string>> CheckpointSeries::NamedFiles(
    const std::vector<CheckpointId>& manifests) {
  std::map<CheckpointId, std::set<std::string>> named;
  std::set<std::string> all;
  for (const CheckpointId& id : manifests) {
    std::set<std::string>& files = named[id];
    if (const auto known = named_.find(id); known != named_.end()) {
      files = known->second;
    } else {
      const absl::StatusOr<CheckpointManifest> manifest = ReadManifest(store_, layout_, id);
      if (!manifest.ok()) return manifest.status();
      for (const CheckpointFile& file : manifest->files) files.insert(layout_.files() + file.object);
    }
    all.insert(files.begin(), files.end());
  }
  named_ = std::move(named);
  return all;
}

absl::StatusOr<std::vector<CheckpointId>> CheckpointSeries::Collect(
    const std::function<absl::StatusOr<bool>()>& newest_owner) {
  const std::vector<CheckpointId> none;
  const absl::StatusOr<std::vector<BlobInfo>> files = store_.List(layout_.files());
  if (!files.ok()) return files.status();
  const absl::StatusOr<std::vector<CheckpointId>> there = ListCheckpoints(store_, layout_);
  if (!there.ok()) return there.status();
  const ManifestsToKeep plan = PlanManifests(*there, epoch_, options_.keep);
  if (plan.fenced) return none;
  const absl::StatusOr<bool> newest = newest_owner();
  if (!newest.ok()) return newest.status();
  if (!*newest) return none;
  for (const CheckpointId& id : plan.drop) {
    if (absl::Status status = store_.Delete(layout_.Manifest(id)); !status.ok()) return status;
    MILLRACE_FAILPOINT("in_collection");
  }
  // Which files a manifest names that cannot be read is not known: all files stay until it is dropped.
  const absl::StatusOr<std::set<std::string>> named = NamedFiles(plan.keep);
  if (absl::IsDataLoss(named.status())) {
    LogWarning("a checkpoint's manifest is damaged: no file is deleted while it is kept",
               {{"partition", key_.ToString()}, {"why", named.status()}});
    return none;
  }
  if (!named.ok()) return named.status();
  std::vector<std::string> names;
  for (const BlobInfo& file : *files) names.push_back(file.name);
  const std::vector<std::string> gone =
      PlanFiles(layout_, names, *named, epoch_, clock_.Monotonic(), options_.grace, &unnamed_);
  for (const std::string& name : gone) {
    if (absl::Status status = store_.Delete(name); !status.ok()) return status;
  }
  return plan.keep;
}

}  // namespace millrace
