#include "coordinator/scaling/pool_limits.h"

#include <algorithm>

namespace millrace {
namespace {

template <typename Get>
double Sum(const JobLoad& job, Get get) {
  double sum = 0;
  for (const PartitionLoad& partition : job.partitions) sum += get(partition);
  return sum;
}

double Taken(const JobLoad& job) {
  return Sum(job, [](const PartitionLoad& p) { return p.taken; });
}

}  // namespace

double PoolLimits::WorkersFor(const JobLoad& job) const {
  const auto known = limits_.find(job.uid);
  if (known == limits_.end()) return 0;
  const Limit& limit = known->second;
  const double arriving = Sum(job, [](const PartitionLoad& p) { return p.arriving; });
  const double workers = arriving / limit.rate * static_cast<double>(limit.workers) / target_busy_;
  return limit.in_vain ? std::min(workers, static_cast<double>(limit.workers)) : workers;
}

double PoolLimits::WorkersForLate(const JobLoad& job, size_t joined) {
  const double taken = Taken(job);
  if (joined == 0 || taken <= 0) return WorkersFor(job);
  Limit& limit = limits_[job.uid];
  if (limit.in_vain && taken > kOtherTimes * limit.rate) limit = Limit{};
  if (!limit.in_vain && limit.workers > 0 && joined > limit.workers) {
    const double added = static_cast<double>(joined) / static_cast<double>(limit.workers) - 1;
    limit.in_vain = taken < limit.rate * (1 + kLeastGain * added);
  }
  if (limit.in_vain) return static_cast<double>(limit.workers);
  limit = {joined, taken, false};
  return static_cast<double>(joined) * Sum(job, WantedRate) / taken / target_busy_;
}

void PoolLimits::Keep(const std::vector<JobLoad>& jobs) {
  std::erase_if(limits_, [&](const auto& limit) {
    return std::none_of(jobs.begin(), jobs.end(), [&](const JobLoad& job) { return job.uid == limit.first; });
  });
}

}  // namespace millrace
