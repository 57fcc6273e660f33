// The cluster as JSON: what `-o json` prints and what HTTP serves are these documents, the same for both.
// Pure functions: the fields and their order are the interface, and a golden test holds them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/views/cluster.h"
#include "coordinator/views/partition_log.h"
#include "nlohmann/json.hpp"

namespace millrace {

using ViewJson = nlohmann::ordered_json;

// running, paused, completed, failed or cancelled, and why where there is something to say.
struct JobState {
  std::string state;
  std::string reason;
};
JobState JobStateOf(const Cluster& cluster, const JobRecord& job);

// Results that were put out and not yet brought to the job's sink; 0 where they stay in their streams.
uint64_t SinkLag(const Cluster& cluster, const JobRecord& job);

// A list with a row for each job.
ViewJson JobsView(const Cluster& cluster);
// `logs` has one for each partition. `now_ms` is the wall clock, for ages.
ViewJson StatusView(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>& logs,
                    int64_t now_ms);
// A list with a row for each partition.
ViewJson PartitionsView(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>& logs,
                        int64_t now_ms);
// A list with a row for each worker whose lease is in the bucket.
ViewJson WorkersView(const Cluster& cluster);

}  // namespace millrace
