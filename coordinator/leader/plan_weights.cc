#include "coordinator/leader/plan_weights.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

// So many times the mean and no more: one absurd figure must not outweigh a whole cluster's worth of sums.
constexpr double kMostMeanLoads = 1e6;

double LoadOf(const PlanJob& job, size_t partition) {
  return partition < job.loads.size() && std::isfinite(job.loads[partition]) ? job.loads[partition] : -1;
}

}  // namespace

PlanWeights WeighPartitions(const std::vector<PlanJob>& jobs) {
  double sum = 0;
  size_t busy = 0;
  for (const PlanJob& job : jobs) {
    for (size_t p = 0; p < job.partitions; ++p) {
      if (const double load = LoadOf(job, p); load > 0) sum += load, ++busy;
    }
  }
  PlanWeights weights;
  weights.uniform = busy == 0;
  const double mean = busy == 0 ? 0 : sum / static_cast<double>(busy);
  for (const PlanJob& job : jobs) {
    std::vector<int64_t>& of = weights.of.emplace_back(job.partitions, kIdleWeight);
    for (size_t p = 0; !weights.uniform && p < job.partitions; ++p) {
      const double load = LoadOf(job, p);
      const double means = load < 0 ? 1 : std::min(load / mean, kMostMeanLoads);
      of[p] += std::llround(means * static_cast<double>(kIdleWeight));
    }
  }
  return weights;
}

}  // namespace millrace
