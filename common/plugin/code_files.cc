#include "common/plugin/code_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "common/hash/sha256.h"
#include "common/job/branches.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

absl::Status NoFolder(const std::string& name) {
  return absl::FailedPreconditionError(
      StrCat("plugin ", name,
             " cannot be looked up — no folder of plugins was given here — try --plugins DIR, or "
             "MILLRACE_PLUGINS"));
}

absl::StatusOr<std::string> ReadPluginFile(const std::string& folder, const std::string& name) {
  errno = 0;
  std::ifstream file(folder + "/" + name, std::ios::binary | std::ios::ate);
  const auto size = file ? static_cast<int64_t>(file.tellg()) : -1;
  if (size > static_cast<int64_t>(kMaxPluginBytes)) {
    return absl::FailedPreconditionError(StrCat("plugin ", name, " in ", folder, " is too large — it has ",
                                                FormatSize(static_cast<uint64_t>(size)), ", at most ",
                                                FormatSize(kMaxPluginBytes), " are taken — strip it"));
  }
  std::string bytes(size < 0 ? 0 : static_cast<size_t>(size), '\0');
  file.seekg(0);
  if (size >= 0 && file.read(bytes.data(), size)) return bytes;
  return absl::FailedPreconditionError(StrCat("plugin ", name, " cannot be read in ", folder, " — ",
                                              errno == 0 ? "it is no file" : std::strerror(errno),
                                              " — put it there, on every machine that runs the job"));
}

const CodeFile* FindFile(const std::vector<CodeFile>& files, const std::string& name) {
  const auto it = std::find_if(files.begin(), files.end(), [&](const CodeFile& f) { return f.name == name; });
  return it == files.end() ? nullptr : &*it;
}

PluginSpec* MutablePluginOf(StageSpec* stage) {
  PluginSpec* plugin = nullptr;
  if (auto* keyed = std::get_if<KeyedStage>(&stage->what)) plugin = &keyed->plugin;
  if (auto* flat_map = std::get_if<FlatMapStage>(&stage->what)) plugin = &flat_map->plugin;
  return plugin == nullptr || plugin->file.empty() ? nullptr : plugin;
}

absl::Status CheckPluginKind(const Plugin& plugin, const StageSpec& stage) {
  const bool is_keyed = std::holds_alternative<KeyedStage>(stage.what);
  if ((plugin.kind() == Plugin::Kind::kKeyed) == is_keyed) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("plugin ", plugin.name(), " is made for ", is_keyed ? "`flat_map`" : "`keyed`", ", not for ",
             is_keyed ? "`keyed`" : "`flat_map`", " — its class derives from millrace::",
             is_keyed ? "FlatMap" : "Keyed", " — name it in a stage of that kind"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Plugin>> CodeFiles::FindPlugin(const std::string& name,
                                                                    const CodeFile* known, CodeFile* found) {
  absl::MutexLock lock(&mutex_);
  if (known != nullptr) {
    *found = *known;
    if (const auto it = loaded_.find(known->sha256); it != loaded_.end()) return it->second;
  }
  if (plugins_.empty()) return NoFolder(name);
  const absl::StatusOr<std::string> bytes = ReadPluginFile(plugins_, name);
  if (!bytes.ok()) return bytes.status();
  *found = {name, bytes->size(), Hex(Sha256Of(*bytes))};
  if (known != nullptr && known->sha256 != found->sha256) {
    return absl::FailedPreconditionError(
        StrCat("plugin ", name, " in ", plugins_,
               " is not the file that the job was submitted with — its sha256 is ", found->sha256, ", not ",
               known->sha256,
               " — put that file back; new code has a new name, and comes with `coordinator update`"));
  }
  if (const auto it = loaded_.find(found->sha256); it != loaded_.end()) return it->second;
  absl::StatusOr<std::shared_ptr<const Plugin>> plugin = Plugin::Load(name, *bytes);
  if (plugin.ok()) loaded_[found->sha256] = *plugin;
  return plugin;
}

absl::Status CodeFiles::LoadStages(const std::vector<CodeFile>& known, std::vector<StageSpec>* stages,
                                   std::vector<CodeFile>* found) {
  for (StageSpec& stage : *stages) {
    if (auto* const branches = std::get_if<BranchStage>(&stage.what)) {
      for (BranchSpec& branch : branches->branches) {
        if (absl::Status status = LoadStages(known, &branch.stages, found); !status.ok()) return status;
      }
    }
    PluginSpec* const wanted = MutablePluginOf(&stage);
    if (wanted == nullptr) continue;
    CodeFile file;
    absl::StatusOr<std::shared_ptr<const Plugin>> plugin =
        FindPlugin(wanted->file, FindFile(known, wanted->file), &file);
    if (!plugin.ok()) return AtPlace(stage.place, plugin.status());
    if (absl::Status fits = CheckPluginKind(**plugin, stage); !fits.ok()) return AtPlace(stage.place, fits);
    wanted->loaded = *std::move(plugin);
    if (FindFile(*found, file.name) == nullptr) found->push_back(std::move(file));
  }
  return absl::OkStatus();
}

absl::Status CodeFiles::Load(JobSpec* spec) {
  if (!NeedsCodeFiles(*spec)) return absl::OkStatus();
  std::vector<StageSpec> stages = spec->stages;
  std::vector<CodeFile> found;
  if (absl::Status status = LoadStages(spec->files, &stages, &found); !status.ok()) return status;
  spec->stages = std::move(stages);
  spec->files = std::move(found);
  return absl::OkStatus();
}

absl::StatusOr<SegmentVersions> CodeFiles::Load(const SegmentVersions& versions) {
  SegmentVersions loaded;
  for (const std::shared_ptr<const SegmentSpec>& version : versions) {
    if (!NeedsCodeFiles(version->job)) {
      loaded.push_back(version);
      continue;
    }
    auto with_files = std::make_shared<SegmentSpec>(*version);
    if (absl::Status status = Load(&with_files->job); !status.ok()) return status;
    loaded.push_back(std::move(with_files));
  }
  return loaded;
}

bool NeedsCodeFiles(const JobSpec& spec) {
  const std::vector<const StageSpec*> stages = AllStages(spec.stages);
  return std::any_of(stages.begin(), stages.end(),
                     [](const StageSpec* stage) { return PluginOf(*stage) != nullptr; });
}

bool NeedsCodeFiles(const SegmentVersions& versions) {
  return std::any_of(versions.begin(), versions.end(),
                     [](const auto& version) { return NeedsCodeFiles(version->job); });
}

}  // namespace millrace
