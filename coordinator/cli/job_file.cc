#include "coordinator/cli/job_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/cluster/table_store.h"
#include "common/job/job_parser.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

// At most a byte more than `max_bytes`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  errno = 0;  // a reason before the open is not this file's
  std::ifstream file(path, std::ios::binary);
  std::string text(max_bytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) {
    return absl::InvalidArgumentError(StrCat("cannot read ", path, " — ", std::strerror(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

absl::StatusOr<std::string> ReadJobText(const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxJobFileBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(StrCat(text.status().message(), " — check that it is the job file"));
  }
  if (text->size() > kMaxJobFileBytes) {
    return absl::InvalidArgumentError(StrCat(path, " cannot be a job file — it is larger than ",
                                             FormatSize(kMaxJobFileBytes),
                                             " — check that it is the right file"));
  }
  return text;
}

// A table lies beside the job file.
absl::StatusOr<std::string> ReadTableFile(const std::string& job_path, const std::string& name) {
  const std::string path = (std::filesystem::path(job_path).parent_path() / name).string();
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxTableBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(StrCat(text.status().message(), " — a table lies beside its job file"));
  }
  if (text->size() <= kMaxTableBytes) return text;
  return absl::InvalidArgumentError(
      StrCat("table ", name, " is larger than ", FormatSize(kMaxTableBytes),
             " — every worker keeps all of it in memory — leave out columns and rows"));
}

}  // namespace

absl::StatusOr<JobSpec> LoadJob(const std::string& path, CodeFiles& files,
                                const std::vector<std::string>& sets) {
  const auto text = ReadJobText(path);
  if (!text.ok()) return text.status();
  auto spec = ParseJob(path, *text, sets);
  if (!spec.ok()) return spec.status();
  const auto fetch = [&](const std::string& name, const CodeFile*) { return ReadTableFile(path, name); };
  if (absl::Status loaded = files.Load(&*spec, fetch); !loaded.ok()) return loaded;
  if (const auto pipeline = Pipeline::Create(*spec, PipelineOptions()); !pipeline.ok()) {
    return pipeline.status();
  }
  return spec;
}

void AddPluginsFlag(Flags& flags, std::string* folder) {
  flags.Add("plugins", folder, "DIR", "where the plugins are that the job names (default: none are run)");
}

absl::StatusOr<JobCode> LoadJobCode(Bus& bus, const JobRecord& job, CodeFiles& files) {
  absl::StatusOr<JobCode> code = ReadJobCode(bus, job);
  if (!code.ok()) return code.status();
  const auto fetch = [&](const std::string& name, const CodeFile* known) {
    return FetchJobTable(bus, job.name, name, known);
  };
  for (JobSpec& version : *code) {
    if (absl::Status loaded = files.Load(&version, fetch); !loaded.ok()) return loaded;
  }
  return code;
}

}  // namespace millrace
