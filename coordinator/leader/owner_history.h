// Who has each partition, and who had it before: what a plan keeps to, and where state may lie still.
#pragma once

#include <string>
#include <vector>

#include "common/cluster/documents.h"
#include "coordinator/leader/plan.h"

namespace millrace {

// Not thread-safe.
class OwnerHistory {
 public:
  // Takes in an assignment; they come in the order in which they were made, again and again the last one.
  void Observe(const std::vector<JobAssignment>& jobs);
  // Forgets jobs that are not among these.
  void Keep(const std::vector<JobAssignment>& running);

  // The last owner of each partition that had one, even while nobody has it: its state is there.
  const Owners& last() const { return last_; }
  // The one before that, where there was another; its state is older.
  const Owners& before() const { return before_; }

 private:
  Owners last_;
  Owners before_;
};

}  // namespace millrace
