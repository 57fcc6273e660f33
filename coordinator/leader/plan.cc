#include "coordinator/leader/plan.h"

#include <algorithm>
#include <tuple>

namespace millrace {
namespace {

constexpr size_t kNobody = static_cast<size_t>(-1);

// One planning, in indices: owner_[job][partition] is a worker.
class Planning {
 public:
  Planning(const std::vector<std::string>& workers, const std::vector<PlanJob>& jobs, const Owners& previous)
      : workers_(workers), jobs_(jobs) {
    held_.assign(workers.size(), 0);
    held_of_job_.assign(workers.size(), std::vector<uint32_t>(jobs.size(), 0));
    for (size_t j = 0; j < jobs.size(); ++j) {
      total_ += jobs[j].partitions;
      owner_.emplace_back(jobs[j].partitions, kNobody);
      KeepPrevious(j, previous);
    }
  }

  Owners Run() {
    SetQuotas();
    for (size_t w = 0; w < workers_.size(); ++w) {
      while (held_[w] > quota_[w]) Release(w);
    }
    for (size_t j = 0; j < jobs_.size(); ++j) {
      for (size_t p = 0; p < owner_[j].size(); ++p) {
        if (owner_[j][p] == kNobody) Give(j, p, Neediest(j));
      }
    }
    return Answer();
  }

 private:
  void KeepPrevious(size_t j, const Owners& previous) {
    const auto found = previous.find(jobs_[j].uid);
    if (found == previous.end()) return;
    const size_t known = std::min(found->second.size(), owner_[j].size());
    for (size_t p = 0; p < known; ++p) {
      const auto at = std::lower_bound(workers_.begin(), workers_.end(), found->second[p]);
      if (at != workers_.end() && *at == found->second[p]) {
        Give(j, p, static_cast<size_t>(at - workers_.begin()));
      }
    }
  }

  // The larger quotas go to those that hold most: each such worker keeps one partition more than it would
  // with the smaller quota, and no choice keeps more.
  void SetQuotas() {
    std::vector<size_t> by_held(workers_.size());
    for (size_t w = 0; w < by_held.size(); ++w) by_held[w] = w;
    std::stable_sort(by_held.begin(), by_held.end(), [&](size_t a, size_t b) { return held_[a] > held_[b]; });
    quota_.assign(workers_.size(), total_ / workers_.size());
    for (size_t i = 0; i < total_ % workers_.size(); ++i) ++quota_[by_held[i]];
  }

  void Give(size_t j, size_t p, size_t w) {
    owner_[j][p] = w;
    ++held_[w];
    ++held_of_job_[w][j];
  }

  // Takes from `w` the last partition of the job of which it has most.
  void Release(size_t w) {
    const auto& of_job = held_of_job_[w];
    const size_t j = static_cast<size_t>(std::max_element(of_job.begin(), of_job.end()) - of_job.begin());
    const auto last = std::find(owner_[j].rbegin(), owner_[j].rend(), w);
    *last = kNobody;
    --held_[w];
    --held_of_job_[w][j];
  }

  // Of those below their quota the one with fewest partitions of the job, then with most room. There is one:
  // the quotas add up to all partitions.
  size_t Neediest(size_t j) const {
    size_t best = kNobody;
    for (size_t w = 0; w < workers_.size(); ++w) {
      if (held_[w] >= quota_[w]) continue;
      if (best == kNobody || std::make_tuple(held_of_job_[w][j], held_[w]) <
                                 std::make_tuple(held_of_job_[best][j], held_[best])) {
        best = w;
      }
    }
    return best;
  }

  Owners Answer() const {
    Owners owners;
    for (size_t j = 0; j < jobs_.size(); ++j) {
      std::vector<std::string>& names = owners[jobs_[j].uid];
      for (const size_t w : owner_[j]) names.push_back(workers_[w]);
    }
    return owners;
  }

  const std::vector<std::string>& workers_;  // sorted
  const std::vector<PlanJob>& jobs_;
  size_t total_ = 0;
  std::vector<std::vector<size_t>> owner_;
  std::vector<size_t> held_;                        // by worker
  std::vector<size_t> quota_;                       // by worker
  std::vector<std::vector<uint32_t>> held_of_job_;  // by worker and job
};

}  // namespace

Owners Plan(std::vector<std::string> workers, std::vector<PlanJob> jobs, const Owners& previous) {
  std::sort(workers.begin(), workers.end());
  std::sort(jobs.begin(), jobs.end(), [](const PlanJob& a, const PlanJob& b) { return a.uid < b.uid; });
  if (!workers.empty()) return Planning(workers, jobs, previous).Run();
  Owners nobody;
  for (const PlanJob& job : jobs) nobody[job.uid].assign(job.partitions, "");
  return nobody;
}

size_t CountMoves(const Owners& from, const Owners& to) {
  size_t moves = 0;
  for (const auto& [uid, before] : from) {
    const auto after = to.find(uid);
    if (after == to.end()) continue;
    for (size_t p = 0; p < std::min(before.size(), after->second.size()); ++p) {
      if (!before[p].empty() && !after->second[p].empty() && before[p] != after->second[p]) ++moves;
    }
  }
  return moves;
}

}  // namespace millrace
