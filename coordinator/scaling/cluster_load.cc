#include "coordinator/scaling/cluster_load.h"

#include <algorithm>
#include <map>

namespace millrace {

bool IsLate(const PartitionLoad& partition) {
  return partition.lag > 0 && partition.lag > partition.arriving * absl::ToDoubleSeconds(kNoLag);
}

double WantedRate(const PartitionLoad& partition) {
  if (!IsLate(partition)) return partition.arriving;
  const double late = partition.lag - partition.arriving * absl::ToDoubleSeconds(kNoLag);
  return partition.arriving + late / absl::ToDoubleSeconds(kCatchUp);
}

double LanesFor(const PartitionLoad& partition) {
  if (partition.taken <= 0) return IsLate(partition) ? 1 : std::min(1.0, partition.busy);
  return std::min(1.0, partition.busy * WantedRate(partition) / partition.taken);
}

std::vector<bool> WaitElsewhere(const ClusterLoad& load) {
  std::map<std::string, double> busy;  // lanes, by worker
  for (const JobLoad& job : load.jobs) {
    for (const PartitionLoad& partition : job.partitions) busy[partition.owner] += partition.busy;
  }
  std::vector<bool> elsewhere;
  for (const JobLoad& job : load.jobs) {
    size_t working = 0, waiting = 0;
    for (const PartitionLoad& partition : job.partitions) {
      if (partition.arriving <= 0 && partition.lag <= 0) continue;
      ++working;
      const bool lane_is_free = busy[partition.owner] < kBusyLane * load.lanes;
      if (IsLate(partition) && partition.busy < kBusyLane && lane_is_free) ++waiting;
    }
    elsewhere.push_back(waiting > 0 && 2 * waiting > working);
  }
  return elsewhere;
}

}  // namespace millrace
