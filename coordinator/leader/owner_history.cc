#include "coordinator/leader/owner_history.h"

#include <algorithm>
#include <utility>

namespace millrace {

void OwnerHistory::Observe(const std::vector<JobAssignment>& jobs) {
  for (const JobAssignment& job : jobs) {
    std::vector<std::string>& last = last_[job.uid];
    std::vector<std::string>& before = before_[job.uid];
    last.resize(job.owners.size());
    before.resize(job.owners.size());
    for (size_t p = 0; p < job.owners.size(); ++p) {
      if (job.owners[p].empty() || job.owners[p] == last[p]) continue;
      before[p] = std::exchange(last[p], job.owners[p]);
    }
  }
}

void OwnerHistory::Keep(const std::vector<JobAssignment>& running) {
  const auto is_over = [&](const auto& entry) {
    return std::none_of(running.begin(), running.end(),
                        [&](const JobAssignment& job) { return job.uid == entry.first; });
  };
  std::erase_if(last_, is_over);
  std::erase_if(before_, is_over);
}

}  // namespace millrace
