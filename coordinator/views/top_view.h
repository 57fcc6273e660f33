// What `coordinator top` shows: the cluster at a glance, as JSON and as text. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/views/cluster.h"
#include "coordinator/views/partition_log.h"
#include "coordinator/views/rates.h"
#include "coordinator/views/views.h"

namespace millrace {

inline constexpr size_t kTopPartitions = 10;  // shown: those furthest behind
inline constexpr size_t kTopJobs = 32;        // whose logs are asked for at each look; the others show no lag

// Jobs whose logs say something: those that run, at most kTopJobs, by name.
std::vector<const JobRecord*> JobsToLookAt(const Cluster& cluster);

using LogsOfJobs = std::map<std::string, std::vector<PartitionLog>, std::less<>>;  // by the job's name

// The counters of all jobs, as they stand at `now`.
void NoteRates(const Cluster& cluster, absl::Duration now, Rates* rates);

// `at`, `leader`, `term`, `workers` and `jobs` as those commands have them, of each job its rates, lag and owned
// partitions too, and `partitions`: those furthest behind, over all jobs.
ViewJson TopView(const Cluster& cluster, const LogsOfJobs& logs, const Rates& rates, int64_t now_ms);

}  // namespace millrace
