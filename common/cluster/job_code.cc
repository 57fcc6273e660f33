#include "common/cluster/job_code.h"

#include <utility>

#include "common/cluster/key_view.h"
#include "common/job/job_parser.h"
#include "common/names.h"
#include "common/step_version.h"
#include "common/strings.h"

namespace millrace {

absl::StatusOr<std::vector<CodeVersion>> CodeVersionsIn(
    const std::map<std::string, KeyValue, std::less<>>& jobs, const std::string& uid) {
  std::vector<CodeVersion> versions;
  while (true) {
    const std::string key = CodeKey(uid, versions.size() + 1);
    const auto found = jobs.find(key);
    if (found == jobs.end() || found->second.deleted) return versions;
    absl::StatusOr<CodeVersion> version = DecodeCodeVersion(found->second.value);
    if (!version.ok() || version->version != versions.size() + 1) {
      return absl::InvalidArgumentError(
          StrCat("key ", key, " holds no such version of a job's code",
                 version.ok() ? "" : StrCat(": ", ToStd(version.status().message()))));
    }
    versions.push_back(*std::move(version));
  }
}

absl::StatusOr<JobSpec> ParseCode(const JobRecord& job, const CodeVersion& version, uint32_t step_version) {
  if (absl::Status runs = CheckStepVersion(version.step_version, step_version); !runs.ok()) return runs;
  absl::StatusOr<JobSpec> spec = ParseJob(job.name, version.spec_text);
  if (!spec.ok()) return spec.status();
  spec->name = job.name;
  spec->partitions = job.partitions;
  spec->step_version = version.step_version;
  spec->files = version.files;
  return spec;
}

CodeVersion FirstVersion(const JobRecord& job) {
  return {0, job.spec_text, job.step_version, job.created_ms, job.files};
}

absl::StatusOr<JobCode> ParseJobCode(const JobRecord& job, const std::vector<CodeVersion>& updates) {
  JobCode code;
  absl::StatusOr<JobSpec> first = ParseCode(job, FirstVersion(job), StepVersion());
  if (!first.ok()) return first.status();
  code.push_back(*std::move(first));
  for (const CodeVersion& update : updates) {
    absl::StatusOr<JobSpec> spec = ParseCode(job, update, StepVersion());
    if (!spec.ok()) return spec.status();
    code.push_back(*std::move(spec));
  }
  return code;
}

absl::StatusOr<JobCode> ReadJobCode(Bus& bus, const JobRecord& job) {
  const auto entries = ReadBucket(bus, kJobsBucket);
  if (!entries.ok()) return entries.status();
  const absl::StatusOr<std::vector<CodeVersion>> updates = CodeVersionsIn(*entries, job.uid);
  if (!updates.ok()) return updates.status();
  return ParseJobCode(job, *updates);
}

}  // namespace millrace
