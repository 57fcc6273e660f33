// Which workers are there: judged by the changes of their leases that this process saw, against its own
// monotonic clock. What a lease says of time is never used.
//
// An observer that was blind for a while (the broker was away, the process was stopped) has seen nobody
// beat; it excuses everybody and judges anew from there, so that an outage of the broker moves no partition.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/cluster_view.h"
#include "coordinator/leader/plan.h"

namespace millrace {

// Not thread-safe.
class WorkerTable {
 public:
  // Takes in what is new in mr-workers. A lease that this table sees for the first time counts from now: it
  // may be a dead worker's, and then costs one lease of waiting.
  void Observe(const Entries& workers, absl::Duration now);
  void ExcuseAll(absl::Duration now);

  // All that are alive, in order of name, with whether they drain by themselves; one that has stopped is not.
  std::vector<PlanWorker> Alive(absl::Duration now, absl::Duration lease_ttl) const;
  // The lease of a worker that is alive (it may drain), else null. Valid until the next Observe.
  const WorkerLease* Live(const std::string& name, absl::Duration now, absl::Duration lease_ttl) const;

  struct Counts {
    size_t ready = 0, draining = 0, stopped = 0, lost = 0;
  };
  Counts Count(absl::Duration now, absl::Duration lease_ttl) const;

 private:
  struct Row {
    WorkerLease lease;  // the newest incarnation's: a new one takes the row over at once
    uint64_t revision = 0;
    absl::Duration seen_at;
  };
  static bool IsLive(const Row& row, absl::Duration now, absl::Duration lease_ttl);

  std::map<std::string, Row> rows_;
};

}  // namespace millrace
