#include "common/code/code_files.h"

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

void NoteFile(CodeFile file, std::vector<CodeFile>* files) {
  if (FindFile(*files, file.name) == nullptr) files->push_back(std::move(file));
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

absl::Status CodeFiles::LoadPlugin(Loading& loading, const StageSpec& stage, PluginSpec* plugin) {
  CodeFile file;
  absl::StatusOr<std::shared_ptr<const Plugin>> found =
      FindPlugin(plugin->file, FindFile(loading.known, plugin->file), &file);
  if (!found.ok()) return found.status();
  if (absl::Status fits = CheckPluginKind(**found, stage); !fits.ok()) return fits;
  plugin->loaded = *std::move(found);
  NoteFile(std::move(file), &loading.found);
  return absl::OkStatus();
}

// One at a time: whoever needs the same table waits for it, and has it then.
absl::Status CodeFiles::LoadTable(Loading& loading, LookupStage* lookup) {
  const CodeFile* const known = FindFile(loading.known, lookup->table);
  absl::MutexLock lock(&mutex_);
  const auto shelf_of = [&](const CodeFile& file) { return StrCat(file.sha256, " ", lookup->key); };
  if (known != nullptr) {
    lookup->loaded = tables_[shelf_of(*known)].lock();
    if (lookup->loaded != nullptr) {
      NoteFile(*known, &loading.found);
      return absl::OkStatus();
    }
  }
  if (!loading.fetch) {
    return absl::FailedPreconditionError(StrCat("table ", lookup->table, " cannot be looked up here"));
  }
  absl::StatusOr<std::string> text = loading.fetch(lookup->table, known);
  if (!text.ok()) return text.status();
  const CodeFile file = {lookup->table, text->size(), Hex(Sha256Of(*text))};
  if (known != nullptr && known->sha256 != file.sha256) {
    return absl::DataLossError(
        StrCat("table ", file.name, " is not the one that the job was submitted with"));
  }
  absl::StatusOr<std::shared_ptr<const LookupTable>> table =
      LookupTable::Parse(lookup->table, *text, lookup->key);
  if (!table.ok()) return table.status();
  std::erase_if(tables_, [](const auto& entry) { return entry.second.expired(); });
  tables_[shelf_of(file)] = *table;
  lookup->loaded = *std::move(table);
  if (known == nullptr) lookup->text = std::make_shared<const std::string>(*std::move(text));
  NoteFile(file, &loading.found);
  return absl::OkStatus();
}

absl::Status CodeFiles::LoadStages(Loading& loading, std::vector<StageSpec>* stages) {
  for (StageSpec& stage : *stages) {
    if (auto* const branches = std::get_if<BranchStage>(&stage.what)) {
      for (BranchSpec& branch : branches->branches) {
        if (absl::Status status = LoadStages(loading, &branch.stages); !status.ok()) return status;
      }
    }
    absl::Status status;
    if (PluginSpec* const plugin = MutablePluginOf(&stage)) status = LoadPlugin(loading, stage, plugin);
    if (auto* const lookup = std::get_if<LookupStage>(&stage.what)) status = LoadTable(loading, lookup);
    if (!status.ok()) return AtPlace(stage.place, status);
  }
  return absl::OkStatus();
}

absl::Status CodeFiles::Load(JobSpec* spec, const FetchTable& fetch) {
  if (!NeedsCodeFiles(*spec)) return absl::OkStatus();
  std::vector<StageSpec> stages = spec->stages;
  Loading loading = {spec->files, fetch};
  if (absl::Status status = LoadStages(loading, &stages); !status.ok()) return status;
  std::vector<CodeFile> found = std::move(loading.found);
  spec->stages = std::move(stages);
  spec->files = std::move(found);
  return absl::OkStatus();
}

absl::StatusOr<SegmentVersions> CodeFiles::Load(const SegmentVersions& versions, uint64_t first,
                                                const FetchTable& fetch) {
  SegmentVersions loaded = versions;
  for (uint64_t v = first; v < loaded.size(); ++v) {
    if (!NeedsCodeFiles(loaded[v]->job)) continue;
    auto with_files = std::make_shared<SegmentSpec>(*loaded[v]);
    if (absl::Status status = Load(&with_files->job, fetch); !status.ok()) return status;
    loaded[v] = std::move(with_files);
  }
  return loaded;
}

bool NeedsCodeFiles(const JobSpec& spec) {
  if (HasTables(spec)) return true;
  const std::vector<const StageSpec*> stages = AllStages(spec.stages);
  return std::any_of(stages.begin(), stages.end(),
                     [](const StageSpec* stage) { return PluginOf(*stage) != nullptr; });
}

bool NeedsCodeFiles(const SegmentVersions& versions) {
  return std::any_of(versions.begin(), versions.end(),
                     [](const auto& version) { return NeedsCodeFiles(version->job); });
}

}  // namespace millrace
