#include "coordinator/cli/job_commands.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/cluster/key_view.h"
#include "common/names.h"
#include "common/random_id.h"
#include "common/strings.h"
#include "coordinator/cli/command_key.h"

namespace millrace {
namespace {

CommandsAsked AskedOf(const Cluster& cluster, const JobRecord& job) {
  const auto asked = cluster.commands.find(job.uid);
  return asked == cluster.commands.end() ? CommandsAsked() : asked->second;
}

// Whether the last command to it, applied or not, is what the verb wants. A job begins as a resumed one.
bool IsAsked(const Cluster& cluster, const JobRecord& job, JobVerb verb) {
  const CommandsAsked asked = AskedOf(cluster, job);
  return asked.revision == 0 ? verb == JobVerb::kResume : asked.last.verb == VerbName(verb);
}

absl::Status MakeJobCommand(Bus& bus, const Cluster& cluster, const JobRecord& job, JobVerb verb) {
  return MakeCommandKey(bus, CommandsPrefix(job.uid), AskedOf(cluster, job).greatest,
                        Command{VerbName(verb), RandomId()});
}

absl::Status DeleteStreams(Bus& bus, const JobRecord& job) {
  const auto names = bus.ListStreams();
  if (!names.ok()) return names.status();
  const std::string prefix = StrCat("mr-", job.name, "-");
  for (const std::string& name : *names) {
    if (!name.starts_with(prefix)) continue;
    // `mr-a-` also begins the streams of a job `a-b`; the uid tells whose it is.
    const auto info = bus.GetStream(name);
    if (absl::IsNotFound(info.status())) continue;
    if (!info.ok()) return info.status();
    if (info->config.description != StreamDescription(job.uid)) continue;
    const absl::Status status = bus.DeleteStream(name);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status DeleteKeys(Bus& bus, const std::string& bucket, const std::vector<std::string>& prefixes) {
  const auto entries = ReadBucket(bus, bucket);
  if (absl::IsNotFound(entries.status())) return absl::OkStatus();
  if (!entries.ok()) return entries.status();
  for (const auto& [key, entry] : *entries) {
    const bool ours = std::any_of(prefixes.begin(), prefixes.end(), [&key = key](const std::string& prefix) {
      return key.starts_with(prefix);
    });
    if (!ours || entry.deleted) continue;
    if (const absl::Status status = bus.DeleteKey(bucket, key); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool OutlivesRecord(const std::string& key) {
  return key.starts_with(kFinalPrefix) || key.starts_with(kSourcePrefix) || key.starts_with(kSinkPrefix);
}

// The uid of a key `<prefix>.<uid>` or `<prefix>.<uid>.<more>`.
std::string UidOf(const std::string& key) {
  const size_t begin = key.find('.') + 1;
  return key.substr(begin, key.find('.', begin) - begin);
}

// What is said of jobs that have no record any more: how they ended, how far their sources were read, where their
// results are. Read before the records: a job of these that has no record afterwards has lost it.
absl::Status DeleteEndsWithoutJob(Bus& bus) {
  const auto keys = ReadBucket(bus, kAssignmentsBucket);
  if (!keys.ok()) return keys.status();
  const auto records = ReadBucket(bus, kJobsBucket);
  if (!records.ok()) return records.status();
  std::set<std::string> uids;
  for (const auto& [key, entry] : *records) {
    if (entry.deleted || key.starts_with(kCodePrefix)) continue;
    const auto job = DecodeJobRecord(entry.value);
    if (!job.ok()) return job.status();  // it may be the record of any of them
    uids.insert(job->uid);
  }
  std::vector<std::string> ends;
  std::vector<std::string> epochs;
  for (const auto& [key, entry] : *keys) {
    if (entry.deleted || !OutlivesRecord(key) || uids.contains(UidOf(key))) continue;
    ends.push_back(key);
    epochs.push_back(UidOf(key) + ".");
  }
  // The ends go last: by them the next one finds what a kill has left here.
  if (const absl::Status status = DeleteKeys(bus, kEpochsBucket, epochs); !status.ok()) return status;
  for (const std::string& key : ends) {
    if (const absl::Status status = bus.DeleteKey(kAssignmentsBucket, key); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Tries until something else than a lack of room comes of it, or kRoomPatience is over.
absl::Status WhileFull(Clock& clock, const WaitLimits& limits, absl::FunctionRef<absl::Status()> body) {
  const absl::Duration deadline = clock.Monotonic() + std::min(limits.timeout, kRoomPatience);
  while (true) {
    absl::Status status = body();
    if (!absl::IsResourceExhausted(status) || clock.Monotonic() >= deadline) return status;
    if (absl::Status stopped = limits.keep_waiting(); !stopped.ok()) return stopped;
    clock.Sleep(kClusterPollInterval);
  }
}

bool IsHeld(const Cluster& cluster, const JobRecord& job) {
  if (cluster.FindAssigned(job.uid) != nullptr) return true;
  return std::any_of(cluster.workers.begin(), cluster.workers.end(), [&](const auto& entry) {
    const WorkerSeen& worker = entry.second;
    return !cluster.IsLost(worker) &&
           std::any_of(worker.lease.partitions.begin(), worker.lease.partitions.end(),
                       [&](const PartitionReport& report) { return report.uid == job.uid; });
  });
}

}  // namespace

std::string VerbName(JobVerb verb) {
  switch (verb) {
    case JobVerb::kPause:
      return "pause";
    case JobVerb::kResume:
      return "resume";
    case JobVerb::kCancel:
      return "cancel";
  }
  return "";
}

absl::StatusOr<bool> IsApplied(const Cluster& cluster, const JobRecord& job, JobVerb verb) {
  if (const FinalStatus* final_status = cluster.FindFinal(job.uid)) {
    if (verb == JobVerb::kCancel && final_status->state == "cancelled") return true;
    return absl::FailedPreconditionError(
        StrCat("cannot ", VerbName(verb), " `", job.name, "` — it is ", final_status->state,
               " — its results stay until `coordinator delete ", job.name, "`"));
  }
  if (verb == JobVerb::kCancel) return false;
  // What was asked last will be done: a job that only stands as the verb wants it does not stay so.
  if (!IsAsked(cluster, job, verb)) return false;
  const JobAssignment* assigned = cluster.FindAssigned(job.uid);
  return assigned != nullptr && assigned->paused == (verb == JobVerb::kPause);
}

absl::Status ApplyVerb(Bus& bus, Clock& clock, const std::string& job_name, JobVerb verb,
                       const WaitLimits& limits) {
  const absl::Duration deadline = clock.Monotonic() + limits.timeout;
  bool asked = false;
  while (true) {
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    const auto job = RequireJob(*cluster, job_name);
    if (!job.ok()) return job.status();
    const auto applied = IsApplied(*cluster, *job, verb);
    if (!applied.ok()) return applied.status();
    if (*applied) return absl::OkStatus();
    if (!asked && !IsAsked(*cluster, *job, verb)) {
      if (const absl::Status status = MakeJobCommand(bus, *cluster, *job, verb); !status.ok()) return status;
      asked = true;
    }
    if (clock.Monotonic() >= deadline) {
      return absl::DeadlineExceededError(StrCat(
          "`", job_name, "` was asked to ", VerbName(verb), ", but in ", absl::FormatDuration(limits.timeout),
          " no coordinator has done it — it will when one runs — try `coordinator serve`"));
    }
    if (const absl::Status status = limits.keep_waiting(); !status.ok()) return status;
    clock.Sleep(kClusterPollInterval);
  }
}

absl::Status WaitUntilLetGo(Bus& bus, Clock& clock, const JobRecord& job, const WaitLimits& limits) {
  const absl::Duration deadline = clock.Monotonic() + limits.timeout;
  while (true) {
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    if (!IsHeld(*cluster, job)) return absl::OkStatus();
    if (clock.Monotonic() >= deadline) {
      return absl::DeadlineExceededError(
          StrCat("`", job.name, "` is over, but workers still hold partitions of it after ",
                 absl::FormatDuration(limits.timeout), " — nothing was deleted — try again in a while"));
    }
    if (const absl::Status status = limits.keep_waiting(); !status.ok()) return status;
    clock.Sleep(kClusterPollInterval);
  }
}

absl::Status CancelToDelete(Bus& bus, Clock& clock, const JobRecord& job, const WaitLimits& limits) {
  absl::Status asked = ApplyVerb(bus, clock, job.name, JobVerb::kCancel, limits);
  if (!absl::IsResourceExhausted(asked)) return asked;
  if (absl::Status status = DeleteStreams(bus, job); !status.ok()) return status;
  return WhileFull(clock, limits, [&] { return ApplyVerb(bus, clock, job.name, JobVerb::kCancel, limits); });
}

absl::Status DeleteJobInFullStore(Bus& bus, Clock& clock, const JobRecord& job, const WaitLimits& limits) {
  const absl::Status status = WhileFull(clock, limits, [&] { return DeleteJob(bus, job); });
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::ResourceExhaustedError(StrCat("the streams of `", job.name,
                                             "` are deleted, but not its record: ", ToStd(status.message()),
                                             ", then run this again"));
}

absl::Status DeleteJob(Bus& bus, const JobRecord& job) {
  if (const absl::Status status = DeleteStreams(bus, job); !status.ok()) return status;
  absl::Status status =
      DeleteKeys(bus, kAssignmentsBucket, {CommandsPrefix(job.uid), FedKey(job.uid), AddedPrefix(job.uid)});
  if (!status.ok()) return status;
  status = DeleteKeys(bus, kJobsBucket, {CodesPrefix(job.uid)});
  if (!status.ok()) return status;
  // How it ended outlives the record by a moment: a record without it would be a job that runs, or one whose
  // results are still to be brought out.
  status = bus.DeleteKey(kJobsBucket, JobKey(job.name));
  if (!status.ok()) return status;
  return DeleteEndsWithoutJob(bus);
}

}  // namespace millrace
