// The cluster's documents, decoded and put together: what every view is computed from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/drain_commands.h"

namespace millrace {

using BucketEntries = std::map<std::string, KeyValue, std::less<>>;

struct WorkerSeen {
  WorkerLease lease;
  int64_t renewed_ns = 0;  // when the broker took it
};

// Of a job that reads a source: what else it was given, by number.
struct InputBeside {
  std::optional<InputAdded> input;
  std::optional<InputFed> fed;  // all of it
};
using InputsBeside = std::map<uint32_t, InputBeside>;

struct SinkSeen {
  SinkReport report;
  bool done = false;  // all of a job that has ended is out
};

struct Cluster {
  std::map<std::string, JobRecord> jobs;          // by name
  std::map<std::string, WorkerSeen> workers;      // by name
  std::optional<Term> term;                       // the greatest
  std::optional<Assignment> assignment;           // the one in force: the greatest (term, number)
  std::map<std::string, FinalStatus> finals;      // by uid
  std::map<std::string, InputFed> fed;            // by uid
  std::map<std::string, SourceFed> sources;       // by uid
  std::map<std::string, SinkSeen> sinks;          // by uid; of jobs whose results are brought out
  std::map<std::string, InputsBeside> added;      // by uid
  std::map<std::string, CommandsAsked> commands;  // by uid
  std::map<std::string, uint64_t> code_versions;  // by uid; the newest, of jobs whose code was updated
  std::map<std::string, DrainAsked> drains;       // by worker
  // Broker time of the newest lease (a worker's or a coordinator's): the cluster's "now" where leases are
  // judged, so that a skewed clock on the reader's machine loses no worker. When nobody renews any more it
  // stands still, and the last ones alive do not turn into lost ones.
  int64_t newest_lease_ns = 0;
  int64_t read_at_ms = 0;  // by the reader's clock; 0: unknown

  const JobRecord* FindJob(std::string_view name) const;
  const FinalStatus* FindFinal(const std::string& uid) const;
  uint64_t CodeVersionOf(const std::string& uid) const;  // the newest; 0: the job's first
  // The job in the assignment in force, nullptr when it is not there.
  const JobAssignment* FindAssigned(const std::string& uid) const;
  int64_t lease_ttl_ms() const;
  int64_t LeaseMsLeft(const WorkerSeen& worker) const;  // 0: ran out
  // For how long nobody has renewed a lease, where that is so long that nobody can: all have ended, or NATS
  // takes no message. nullopt: all is well, or nobody ever had one.
  std::optional<absl::Duration> Standstill() const;
  // Not renewed within the lease's time, and not stopped in order.
  bool IsLost(const WorkerSeen& worker) const;
};

// Pure. Documents that do not decode are passed over: a newer version may have written them. The newest term
// and the assignment in force are what they are all the same (see common/cluster/in_force.h).
Cluster DecodeCluster(const BucketEntries& jobs, const BucketEntries& workers,
                      const BucketEntries& assignments);

// Reads the buckets. Uses the bus's Poll: for the thread that owns it. A bucket that does not exist is empty.
absl::StatusOr<Cluster> ReadCluster(Bus& bus);

// NOT_FOUND with the near miss and the command that lists them.
absl::StatusOr<WorkerSeen> RequireWorker(const Cluster& cluster, std::string_view name);
absl::StatusOr<JobRecord> RequireJob(const Cluster& cluster, std::string_view name);

}  // namespace millrace
