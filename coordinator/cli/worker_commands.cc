#include "coordinator/cli/worker_commands.h"

#include <algorithm>

#include "common/names.h"
#include "common/random_id.h"
#include "common/strings.h"
#include "coordinator/cli/command_key.h"
#include "coordinator/cli/job_commands.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

bool IsAssignedAnything(const Cluster& cluster, const std::string& worker) {
  if (!cluster.assignment) return false;
  return std::any_of(
      cluster.assignment->jobs.begin(), cluster.assignment->jobs.end(),
      [&](const JobAssignment& job) { return std::count(job.owners.begin(), job.owners.end(), worker) > 0; });
}

DrainAsked AskedOf(const Cluster& cluster, const WorkerLease& lease) {
  const auto asked = cluster.drains.find(lease.name);
  return asked == cluster.drains.end() ? DrainAsked() : asked->second;
}

// Whether the last command to it, applied or not, is what the verb wants.
bool IsAsked(const Cluster& cluster, const WorkerLease& lease, DrainVerb verb) {
  return AskedOf(cluster, lease).Drains(lease.process) == (verb == DrainVerb::kDrain);
}

absl::Status MakeDrainCommand(Bus& bus, const Cluster& cluster, const WorkerLease& lease, DrainVerb verb) {
  const char* const name = verb == DrainVerb::kDrain ? DrainAsked::kDrainVerb : DrainAsked::kUndoVerb;
  return MakeCommandKey(bus, DrainsPrefix(lease.name), AskedOf(cluster, lease).greatest,
                        Command{name, RandomId(), lease.process});
}

}  // namespace

absl::StatusOr<bool> IsApplied(const Cluster& cluster, const WorkerSeen& worker, DrainVerb verb) {
  const WorkerLease& lease = worker.lease;
  if (lease.state == "stopped" || cluster.IsLost(worker)) {
    return absl::FailedPreconditionError(
        StrCat("worker `", lease.name, "` is ", lease.state == "stopped" ? "stopped" : "lost",
               " — it has nothing, and serves again when it is started — try `coordinator workers`"));
  }
  if (!IsAsked(cluster, lease, verb)) return false;
  if (verb == DrainVerb::kUndo) return lease.state == "ready";
  return lease.state == "draining" && lease.partitions.empty() && !IsAssignedAnything(cluster, lease.name);
}

absl::Status ApplyDrain(Bus& bus, Clock& clock, const std::string& worker, DrainVerb verb,
                        absl::Duration timeout) {
  const absl::Duration deadline = clock.Monotonic() + timeout;
  bool asked = false;
  while (true) {
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    const auto seen = RequireWorker(*cluster, worker);
    if (!seen.ok()) return seen.status();
    const auto applied = IsApplied(*cluster, *seen, verb);
    if (!applied.ok()) return applied.status();
    if (*applied) return absl::OkStatus();
    if (!asked && !IsAsked(*cluster, seen->lease, verb)) {
      const absl::Status made = MakeDrainCommand(bus, *cluster, seen->lease, verb);
      if (!made.ok()) return made;
      asked = true;
    }
    if (clock.Monotonic() >= deadline) {
      return absl::DeadlineExceededError(StrCat(
          "worker `", worker, "` was asked to ", verb == DrainVerb::kDrain ? "drain" : "serve again",
          ", but has not come to it in ", absl::FormatDuration(timeout), "; it holds ",
          seen->lease.partitions.size(), " partitions — the request stands — try `coordinator workers`"));
    }
    if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    clock.Sleep(kClusterPollInterval);
  }
}

}  // namespace millrace
