// Makes rates of what owners and logs say, look after look.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/scaling/cluster_load.h"
#include "coordinator/views/cluster.h"
#include "coordinator/views/partition_log.h"
#include "coordinator/views/rates.h"

namespace millrace {

using JobLogs = std::map<std::string, std::vector<PartitionLog>>;  // by uid; one for each partition

// Not thread-safe.
class LoadMeter {
 public:
  // The load of the jobs that have not ended. A job that is not among `logs` is one that the broker did not tell of.
  // `now`: a monotonic clock's, never less than the last time.
  ClusterLoad Look(const Cluster& cluster, const JobLogs& logs, absl::Duration now);

 private:
  struct Row {
    uint64_t epoch = 0;        // of the owner that the rates are of
    bool by_messages = false;  // the log's records are not counted
    Rates rates;
  };
  void AddJob(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>* logs,
              absl::Duration now, ClusterLoad* load);
  static void ShareLongTurns(const Cluster& cluster, ClusterLoad* load);
  // nullopt: not known yet.
  static std::optional<PartitionLoad> LoadOf(const WorkerSeen& owner, const PartitionReport& report,
                                             const PartitionLog& log, absl::Duration now, Row* row);

  std::map<std::string, std::map<size_t, Row>> rows_;  // by uid, and the partition's place in the job
};

}  // namespace millrace
