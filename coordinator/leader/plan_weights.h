// What partitions weigh in a plan.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/leader/plan.h"

namespace millrace {

// Whole numbers, so that sums do not depend on their order.
inline constexpr int64_t kIdleWeight = 1000;

struct PlanWeights {
  std::vector<std::vector<int64_t>> of;  // by job and partition
  bool uniform = true;                   // nothing is known of any load
};

// An idle partition weighs kIdleWeight, and one with the mean load of those that have any twice that. One of
// unknown load is taken for a mean one.
PlanWeights WeighPartitions(const std::vector<PlanJob>& jobs);

}  // namespace millrace
