// The assignments, as keys made once: the greatest (term, number) is in force.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "coordinator/leader/cluster_view.h"
#include "coordinator/leader/plan.h"

namespace millrace {

// Not thread-safe. Calls that write block on the bus.
class AssignmentLog {
 public:
  explicit AssignmentLog(Bus& bus) : bus_(bus) {}

  // Takes in what is new in mr-assignments.
  void Observe(const Entries& assignments);
  // The greatest that was seen or written.
  const Assignment& in_force() const { return in_force_; }

  // Those of the last few that can be read, in the order in which they were made.
  static std::vector<Assignment> Kept(const Entries& assignments);

  // Makes the next assignment of `term`. ALREADY_EXISTS: an earlier try with a lost answer got through after
  // all; to be observed, and tried again then.
  absl::Status Write(uint64_t term, std::vector<JobAssignment> jobs, std::vector<std::string> draining);
  // Deletes what has long been superseded. A reader that lags still finds a greatest one, and a key that a
  // leader of an older term makes again is not the greatest.
  void DropOld(const Entries& assignments);

 private:
  Bus& bus_;
  Assignment in_force_;
};

Owners OwnersOf(const std::vector<JobAssignment>& jobs);
Owners StandbysOf(const std::vector<JobAssignment>& jobs);
bool SameJobs(const std::vector<JobAssignment>& a, const std::vector<JobAssignment>& b);

}  // namespace millrace
