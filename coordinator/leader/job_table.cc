#include "coordinator/leader/job_table.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/job/segments.h"
#include "common/log.h"
#include "common/names.h"

namespace millrace {
namespace {

bool IsSane(const JobRecord& record) {
  return record.segments() <= kMaxSegments && record.partitions <= kMaxPartitions &&
         std::all_of(record.later_partitions.begin(), record.later_partitions.end(),
                     [](uint32_t partitions) { return partitions > 0 && partitions <= kMaxPartitions; });
}

std::vector<std::string> VerbsOf(const Entries& assignments, const std::string& uid) {
  const std::string prefix = CommandsPrefix(uid);
  std::vector<const KeyValue*> commands;
  for (auto it = assignments.lower_bound(prefix);
       it != assignments.end() && absl::StartsWith(it->first, prefix); ++it) {
    if (!it->second.deleted) commands.push_back(&it->second);
  }
  std::sort(commands.begin(), commands.end(), [](auto* a, auto* b) { return a->revision < b->revision; });
  std::vector<std::string> verbs;
  for (const KeyValue* entry : commands) {
    const auto command = DecodeCommand(entry->value);
    if (command.ok()) verbs.push_back(command->verb);
  }
  return verbs;
}

}  // namespace

// Who cannot read one cannot run it either, and says so.
void JobTable::ObserveCode(const Entries& jobs) {
  std::erase_if(code_engines_, [&](const auto& code) { return FindEntry(jobs, code.first) == nullptr; });
  for (auto it = jobs.lower_bound(kCodePrefix); it != jobs.end() && absl::StartsWith(it->first, kCodePrefix);
       ++it) {
    if (it->second.deleted || code_engines_.contains(it->first)) continue;
    const absl::StatusOr<CodeVersion> code = DecodeCodeVersion(it->second.value);
    code_engines_[it->first] = code.ok() ? code->step_version : 1;
  }
}

uint32_t JobTable::StepVersionOf(const JobRecord& record) const {
  uint32_t needed = record.step_version;
  const std::string prefix = CodesPrefix(record.uid);
  for (auto it = code_engines_.lower_bound(prefix);
       it != code_engines_.end() && absl::StartsWith(it->first, prefix); ++it) {
    needed = std::max(needed, it->second);
  }
  return needed;
}

void JobTable::Observe(const Entries& jobs) {
  ObserveCode(jobs);
  std::erase_if(rows_, [&](const auto& row) { return FindEntry(jobs, row.first) == nullptr; });
  for (auto it = jobs.lower_bound(kJobPrefix); it != jobs.end() && absl::StartsWith(it->first, kJobPrefix);
       ++it) {
    if (it->second.deleted) continue;
    Row& row = rows_[it->first];
    if (row.revision == it->second.revision) continue;
    row.revision = it->second.revision;
    absl::StatusOr<JobRecord> record = DecodeJobRecord(it->second.value);
    if (record.ok() && IsSane(*record)) {
      row.record = *std::move(record);
      continue;
    }
    row.record = JobRecord{};
    LogError("a job's record cannot be read; it is left alone",
             {{"key", it->first},
              {"error", record.ok() ? "its partitions are not what a job can have"
                                    : ToStd(record.status().message())}});
  }
}

std::vector<OpenJob> JobTable::Open(const Entries& assignments) const {
  std::vector<OpenJob> open;
  for (const auto& [key, row] : rows_) {
    if (row.record.partitions == 0) continue;
    if (FindEntry(assignments, FinalKey(row.record.uid)) != nullptr) continue;
    open.push_back({&row.record, VerbsOf(assignments, row.record.uid), StepVersionOf(row.record)});
  }
  return open;
}

std::vector<const JobRecord*> JobTable::WithoutSinkDone(const Entries& assignments) const {
  std::vector<const JobRecord*> jobs;
  for (const auto& [key, row] : rows_) {
    if (row.record.partitions == 0) continue;
    if (FindEntry(assignments, SinkDoneKey(row.record.uid)) == nullptr) jobs.push_back(&row.record);
  }
  return jobs;
}

}  // namespace millrace
