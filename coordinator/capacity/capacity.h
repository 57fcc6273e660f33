// How many workers, lanes and partitions a rate needs, and how many calls are under way at once: Little's
// law, L = rate x time (J. D. C. Little, "A proof for the queuing formula L = λW", 1961), with headroom.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace {

// What is left free: queues grow without bound as a server nears its limit, and a worker that is lost leaves
// its share to the others.
inline constexpr double kHeadroom = 0.3;

struct CapacityRequest {
  double records_per_second = 0;
  absl::Duration time;     // of a lane, for a record
  absl::Duration waiting;  // beyond it: for what a record waits without keeping a lane busy
  uint32_t lanes = 1;      // of a worker
};

struct CapacityPlan {
  double busy_lanes = 0;  // on average
  uint64_t lanes = 0;     // with the headroom
  uint64_t workers = 0;
  uint64_t concurrency = 0;  // records under way at once, those that wait included, with the headroom
  uint64_t partitions = 0;   // at least: a partition is on one lane at a time
};

// INVALID_ARGUMENT where there is nothing to reckon with, or more than any cluster has.
absl::StatusOr<CapacityPlan> PlanCapacity(const CapacityRequest& request);

}  // namespace millrace
