#include "coordinator/leader/copy_ahead.h"

#include <algorithm>

namespace millrace {

bool WaitsForCopy(const MoveFacts& facts) {
  if (facts.owner_says == nullptr || facts.owner_says->state != "running") return false;
  if (!facts.owner_stores || !facts.next_stores || facts.waited >= kCopyAheadLimit) return false;
  if (!facts.owner_says->stored_for_move) return true;
  return !facts.copied.has_value() || *facts.copied < facts.owner_says->checkpoint_offset;
}

Owners AsIfMoved(Owners owners, const std::vector<JobAssignment>& in_force,
                 const std::vector<PlanWorker>& workers) {
  const auto takes = [&](const std::string& name) {
    return std::any_of(workers.begin(), workers.end(), [&](const PlanWorker& worker) {
      return worker.name == name && !worker.drains && worker.checkpoints;
    });
  };
  for (const JobAssignment& job : in_force) {
    const auto of_job = owners.find(job.uid);
    if (of_job == owners.end()) continue;
    for (size_t p = 0; p < std::min(job.next_owners.size(), of_job->second.size()); ++p) {
      if (!job.next_owners[p].empty() && takes(job.next_owners[p])) of_job->second[p] = job.next_owners[p];
    }
  }
  return owners;
}

size_t CountCopies(const std::vector<JobAssignment>& in_force) {
  size_t copies = 0;
  for (const JobAssignment& job : in_force) {
    copies += job.next_owners.size() -
              static_cast<size_t>(std::count(job.next_owners.begin(), job.next_owners.end(), ""));
  }
  return copies;
}

absl::Duration CopyClock::Waited(const std::string& uid, size_t partition, const std::string& next,
                                 absl::Duration now) {
  const auto [it, is_new] = waits_.try_emplace({uid, partition}, Wait{next, now});
  if (!is_new && it->second.next != next) it->second = {next, now};
  return now - it->second.since;
}

void CopyClock::Keep(const std::vector<JobAssignment>& in_force) {
  std::erase_if(waits_, [&](const auto& entry) {
    const auto& [uid, partition] = entry.first;
    const auto job = std::find_if(in_force.begin(), in_force.end(),
                                  [&u = uid](const JobAssignment& other) { return other.uid == u; });
    return job == in_force.end() || partition >= job->next_owners.size() ||
           job->next_owners[partition].empty();
  });
}

}  // namespace millrace
