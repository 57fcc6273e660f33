#include "coordinator/leader/plan.h"

#include <algorithm>
#include <tuple>

namespace millrace {
namespace {

constexpr size_t kNobody = static_cast<size_t>(-1);

// A segment of a job: the partitions that are spread together.
struct Group {
  std::string uid;
  size_t first = 0;  // where its partitions begin among the job's
  uint32_t partitions = 0;
};

std::vector<Group> GroupsOf(const std::vector<PlanJob>& jobs) {
  std::vector<Group> groups;
  for (const PlanJob& job : jobs) {
    groups.push_back({job.uid, 0, job.partitions});
    for (const uint32_t partitions : job.later_partitions) {
      groups.push_back({job.uid, groups.back().first + groups.back().partitions, partitions});
    }
  }
  return groups;
}

// One planning, in indices: owner_[group][partition] is a worker.
class Planning {
 public:
  Planning(const std::vector<std::string>& workers, const std::vector<PlanJob>& jobs, const Owners& previous)
      : workers_(workers), groups_(GroupsOf(jobs)) {
    held_.assign(workers.size(), 0);
    held_of_group_.assign(workers.size(), std::vector<uint32_t>(groups_.size(), 0));
    for (size_t g = 0; g < groups_.size(); ++g) {
      total_ += groups_[g].partitions;
      owner_.emplace_back(groups_[g].partitions, kNobody);
      KeepPrevious(g, previous);
    }
  }

  Owners Run() {
    SetQuotas();
    for (size_t w = 0; w < workers_.size(); ++w) {
      while (held_[w] > quota_[w]) Release(w);
    }
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (size_t p = 0; p < owner_[g].size(); ++p) {
        if (owner_[g][p] == kNobody) Give(g, p, Neediest(g));
      }
    }
    return Answer();
  }

 private:
  void KeepPrevious(size_t g, const Owners& previous) {
    const auto found = previous.find(groups_[g].uid);
    if (found == previous.end()) return;
    for (size_t p = 0; p < owner_[g].size() && groups_[g].first + p < found->second.size(); ++p) {
      const std::string& before = found->second[groups_[g].first + p];
      const auto at = std::lower_bound(workers_.begin(), workers_.end(), before);
      if (at != workers_.end() && *at == before) {
        Give(g, p, static_cast<size_t>(at - workers_.begin()));
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

  void Give(size_t g, size_t p, size_t w) {
    owner_[g][p] = w;
    ++held_[w];
    ++held_of_group_[w][g];
  }

  // Takes from `w` the last partition of the segment of which it has most.
  void Release(size_t w) {
    const auto& of_group = held_of_group_[w];
    const size_t g =
        static_cast<size_t>(std::max_element(of_group.begin(), of_group.end()) - of_group.begin());
    const auto last = std::find(owner_[g].rbegin(), owner_[g].rend(), w);
    *last = kNobody;
    --held_[w];
    --held_of_group_[w][g];
  }

  // Of those below their quota the one with fewest partitions of the segment, then with most room. There is
  // one: the quotas add up to all partitions.
  size_t Neediest(size_t g) const {
    size_t best = kNobody;
    for (size_t w = 0; w < workers_.size(); ++w) {
      if (held_[w] >= quota_[w]) continue;
      if (best == kNobody || std::make_tuple(held_of_group_[w][g], held_[w]) <
                                 std::make_tuple(held_of_group_[best][g], held_[best])) {
        best = w;
      }
    }
    return best;
  }

  Owners Answer() const {
    Owners owners;
    for (size_t g = 0; g < groups_.size(); ++g) {
      std::vector<std::string>& names = owners[groups_[g].uid];
      for (const size_t w : owner_[g]) names.push_back(workers_[w]);
    }
    return owners;
  }

  const std::vector<std::string>& workers_;  // sorted
  const std::vector<Group> groups_;          // in order of job and segment
  size_t total_ = 0;
  std::vector<std::vector<size_t>> owner_;
  std::vector<size_t> held_;                          // by worker
  std::vector<size_t> quota_;                         // by worker
  std::vector<std::vector<uint32_t>> held_of_group_;  // by worker and segment
};

}  // namespace

Owners Plan(std::vector<std::string> workers, std::vector<PlanJob> jobs, const Owners& previous) {
  std::sort(workers.begin(), workers.end());
  std::sort(jobs.begin(), jobs.end(), [](const PlanJob& a, const PlanJob& b) { return a.uid < b.uid; });
  if (!workers.empty()) return Planning(workers, jobs, previous).Run();
  Owners nobody;
  for (const PlanJob& job : jobs) {
    std::vector<std::string>& names = nobody[job.uid];
    names.assign(job.partitions, "");
    for (const uint32_t partitions : job.later_partitions) names.resize(names.size() + partitions);
  }
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
