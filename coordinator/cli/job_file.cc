#include "coordinator/cli/job_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/job/job_parser.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

absl::StatusOr<std::string> ReadJobText(const std::string& path) {
  errno = 0;  // a reason before the open is not this file's
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxJobFileBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) {
    return absl::InvalidArgumentError(
        StrCat("cannot read ", path, " — ", std::strerror(errno), " — check that it is the job file"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxJobFileBytes) {
    return absl::InvalidArgumentError(StrCat(path, " cannot be a job file — it is larger than ",
                                             FormatSize(kMaxJobFileBytes),
                                             " — check that it is the right file"));
  }
  return text;
}

}  // namespace

absl::StatusOr<JobSpec> LoadJob(const std::string& path, CodeFiles& files,
                                const std::vector<std::string>& sets) {
  const auto text = ReadJobText(path);
  if (!text.ok()) return text.status();
  auto spec = ParseJob(path, *text, sets);
  if (!spec.ok()) return spec.status();
  if (absl::Status loaded = files.Load(&*spec); !loaded.ok()) return loaded;
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
  for (JobSpec& version : *code) {
    if (absl::Status loaded = files.Load(&version); !loaded.ok()) return loaded;
  }
  return code;
}

}  // namespace millrace
