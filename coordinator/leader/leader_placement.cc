// Which owners and standbys an assignment names: what Plan and PlanStandbys want, less the moves that wait for a
// copy of the state.
#include <algorithm>
#include <string>
#include <utility>

#include "common/log.h"
#include "coordinator/leader/leader.h"
#include "coordinator/leader/plan_standbys.h"

namespace millrace {

// Moves that wait for a copy of the state stay where they are, and say where they go.
void Leader::HoldBackMoves(const JobFacts& facts, JobAssignment* job) {
  const absl::Duration now = clock_.Monotonic();
  const auto live = [&](const std::string& name) {
    return workers_.Live(name, now, leadership_.lease_ttl());
  };
  const std::vector<JobAssignment>& in_force = assignments_.in_force().jobs;
  const auto known = std::find_if(in_force.begin(), in_force.end(),
                                  [&](const JobAssignment& other) { return other.uid == job->uid; });
  if (known == in_force.end()) return;
  for (size_t p = 0; p < std::min(known->owners.size(), job->owners.size()); ++p) {
    const std::string& from = known->owners[p];
    const std::string to = job->owners[p];
    if (from.empty() || to.empty() || from == to || facts.reports[p] == nullptr) continue;
    MoveFacts move;
    move.owner_says = facts.reports[p];
    if (const WorkerLease* lease = live(from)) move.owner_stores = lease->checkpoints;
    if (const WorkerLease* lease = live(to)) {
      move.next_stores = lease->checkpoints;
      for (const CopyReport& copy : lease->copies) {
        const bool is_it = copy.uid == job->uid && copy.segment == move.owner_says->segment &&
                           copy.partition == move.owner_says->partition;
        if (is_it) move.copied = copy.offset;
      }
    }
    move.waited = copies_.Waited(job->uid, p, to, now);
    if (!WaitsForCopy(move)) continue;
    job->next_owners.resize(job->owners.size());
    job->next_owners[p] = to;
    job->owners[p] = from;
  }
}

void Leader::PlaceStandbys(const std::vector<PlanWorker>& workers, Jobs* jobs) {
  std::vector<std::string> wanting;
  for (const PlanJob& job : jobs->to_plan) {
    if (job.standbys > 0) wanting.push_back(job.uid);
  }
  Owners standbys =
      PlanStandbys(workers, wanting, OwnersOf(jobs->running), StandbysOf(assignments_.in_force().jobs));
  for (JobAssignment& job : jobs->running) {
    const auto found = standbys.find(job.uid);
    if (found == standbys.end()) continue;
    const auto without = std::count(found->second.begin(), found->second.end(), "");
    if (without == 0) {
      reign_.said_no_standby.erase(job.uid);
    } else if (reign_.said_no_standby.insert(job.uid).second) {
      LogWarning("partitions have no standby: that takes two ready workers with --checkpoints",
                 {{"job", job.job}, {"partitions", without}});
    }
    if (static_cast<size_t>(without) < found->second.size()) job.standbys = std::move(found->second);
  }
}

void Leader::PlacePartitions(const std::vector<PlanWorker>& workers, Jobs* jobs) {
  const std::vector<JobAssignment>& in_force = assignments_.in_force().jobs;
  copies_.Keep(in_force);
  const size_t room = moves_.room() - std::min(moves_.room(), CountCopies(in_force));
  Owners planned = Plan(workers, jobs->to_plan, AsIfMoved(owners_.last(), in_force, workers), room,
                        owners_.before(), StandbysOf(in_force));
  for (size_t j = 0; j < jobs->running.size(); ++j) {
    jobs->running[j].owners = std::move(planned[jobs->running[j].uid]);
    HoldBackMoves(jobs->facts[j], &jobs->running[j]);
  }
  PlaceStandbys(workers, jobs);
}

}  // namespace millrace
