// Jobs cut into their segments, each of which is planned as a job of its own.
#pragma once

#include <string>
#include <vector>

#include "coordinator/leader/plan.h"

namespace millrace {

class PlanSegments {
 public:
  explicit PlanSegments(const std::vector<PlanJob>& jobs);

  // In the order of the jobs, segment after segment; their uids are names of this planning.
  const std::vector<PlanJob>& parts() const { return parts_; }
  // By job, to by part; what is missing is missing there too.
  Owners Cut(const Owners& by_job) const;
  // By part, all of them, to by job.
  Owners Join(const Owners& by_part) const;

 private:
  struct Origin {
    std::string uid;   // of the job
    size_t first = 0;  // where the part begins among the job's partitions
  };
  std::vector<PlanJob> parts_;
  std::vector<Origin> origins_;  // by part
};

}  // namespace millrace
