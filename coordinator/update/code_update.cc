#include "coordinator/update/code_update.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/failpoint.h"
#include "common/job/branches.h"
#include "common/job/code_fit.h"
#include "common/job/job_difference.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/views/partition_log.h"

namespace millrace {
namespace {

// A replay runs every version, so the plugins of all of them have to be there at once. Tables are kept with the job.
absl::Status CheckPlugins(const JobCode& code, const JobSpec& next) {
  std::set<std::string> plugins;
  for (const StageSpec* const stage : AllStages(next.stages)) {
    if (const PluginSpec* const plugin = PluginOf(*stage)) plugins.insert(plugin->file);
  }
  for (size_t version = 0; version < code.size(); ++version) {
    for (const CodeFile& before : code[version].files) {
      const auto after = std::find_if(next.files.begin(), next.files.end(),
                                      [&](const CodeFile& file) { return file.name == before.name; });
      if (after == next.files.end() || after->sha256 == before.sha256 || !plugins.contains(after->name))
        continue;
      return absl::FailedPreconditionError(StrCat(
          "`", before.name, "` is another file than the one that version ", version, " of `", next.name,
          "` runs — what stands in the logs before this update still needs that one — give the new file "
          "another name, and leave both where workers find them"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMayUpdate(const JobCode& code, const JobSpec& next) {
  if (absl::Status fits = CheckCodeFits(code.back(), next); !fits.ok()) return fits;
  if (absl::Status plugins = CheckPlugins(code, next); !plugins.ok()) return plugins;
  if (code.size() <= kMaxCodeVersions) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("`", next.name, "` was updated ", kMaxCodeVersions,
             " times — a replay goes through every version — submit it as a job of another --name"));
}

// OK: the key holds this version now. An answer that was lost leaves it there, so the key is looked at.
absl::Status ClaimVersion(Bus& bus, const JobRecord& job, const CodeVersion& version) {
  const std::string key = CodeKey(job.uid, version.version);
  const absl::Status made = bus.CreateKey(kJobsBucket, key, Encode(version)).status();
  if (!absl::IsAlreadyExists(made)) return made;
  const absl::StatusOr<KeyValue> there = bus.GetKey(kJobsBucket, key);
  if (!there.ok()) return there.status();
  const absl::StatusOr<CodeVersion> other = DecodeCodeVersion(there->value);
  if (other.ok() && other->spec_text == version.spec_text && other->files == version.files)
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("`", job.name, "` was updated by somebody else just now, to version ", version.version,
             " — nothing was changed by this one — look at what that does, then run this again"));
}

// A job that was deleted meanwhile leaves nothing behind.
absl::Status CheckStillThere(Bus& bus, const JobRecord& job, uint64_t version) {
  const absl::StatusOr<KeyValue> there = bus.GetKey(kJobsBucket, JobKey(job.name));
  if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
  const absl::StatusOr<JobRecord> record =
      there.ok() ? DecodeJobRecord(there->value) : absl::StatusOr<JobRecord>(there.status());
  if (record.ok() && record->uid == job.uid) return absl::OkStatus();
  static_cast<void>(bus.DeleteKey(kJobsBucket, CodeKey(job.uid, version)));
  return absl::NotFoundError(
      StrCat("no job `", job.name, "` — it was deleted meanwhile — try `coordinator jobs`"));
}

// Empty: it runs the version, or does not need it any more.
std::string WhyWaiting(const std::optional<PartitionReport>& report, uint64_t version) {
  if (!report.has_value()) return "no worker has it yet";
  if (report->state == "completed" || report->code_version >= version) return "";
  if (!report->reason.empty()) return StrCat(report->state, ": ", report->reason);
  return StrCat("runs version ", report->code_version);
}

}  // namespace

absl::StatusOr<UpdateMade> UpdateCode(Bus& bus, const JobRecord& job, const UpdateRequest& request) {
  const JobSpec& next = *request.next;
  absl::StatusOr<JobCode> code = ReadJobCode(bus, job);
  if (!code.ok()) return code.status();
  const JobSpec& in_force = code->back();
  if (DescribeDifference(in_force, next).empty() && in_force.step_version == next.step_version) {
    return UpdateMade{code->size() - 1, false};
  }
  if (absl::Status may = CheckMayUpdate(*code, next); !may.ok()) return may;
  const CodeVersion version = {code->size(), next.text, next.step_version, request.now_ms, next.files};
  code->push_back(next);
  if (absl::Status streams = EnsureStreamsOfUpdate(bus, job, *code, request.stream_creators); !streams.ok())
    return streams;
  if (absl::Status tables = EnsureTables(bus, job.name, next); !tables.ok()) return tables;
  MILLRACE_FAILPOINT("update_before_key");
  if (absl::Status claimed = ClaimVersion(bus, job, version); !claimed.ok()) return claimed;
  MILLRACE_FAILPOINT("update_after_key");
  if (absl::Status there = CheckStillThere(bus, job, version.version); !there.ok()) return there;
  return UpdateMade{version.version, true};
}

UpdateProgress ProgressOf(const Cluster& cluster, const JobRecord& job, uint64_t version) {
  UpdateProgress progress;
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      ++progress.partitions;
      const std::string why = WhyWaiting(OwnersReport(cluster, job, SegmentId(s), PartitionId(p)), version);
      if (why.empty()) {
        ++progress.done;
      } else if (progress.waiting.empty()) {
        progress.waiting = StrCat("partition ", PartitionText(SegmentId(s), PartitionId(p)), ": ", why);
      }
    }
  }
  return progress;
}

}  // namespace millrace
