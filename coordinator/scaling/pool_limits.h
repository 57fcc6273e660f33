// How many workers a job needs whose partitions wait for something else than lanes: handlers, threads of pools, services, of
// which each worker has its own. Nobody says how busy those are, so the only measure is what a late job gets done, and
// whether more workers get more done.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "coordinator/scaling/cluster_load.h"

namespace millrace {

// With one and a half times the workers, a late job has to get at least so much more of that half done; else they
// were added in vain.
inline constexpr double kLeastGain = 0.3;
// What was in vain is tried again when the job gets so many times more done than it did then.
inline constexpr double kOtherTimes = 1.5;

// Not thread-safe.
class PoolLimits {
 public:
  // `target_busy`: how much of what workers get done is to be asked of them.
  explicit PoolLimits(double target_busy) : target_busy_(target_busy) {}

  // Workers that the job needs on this account alone, as far as is known; 0 while it never waited for anything but lanes.
  double WorkersFor(const JobLoad& job) const;
  // Likewise, of a job of which WaitElsewhere says so now. To be asked when the number of workers has not changed for as
  // long as rates are measured over.
  double WorkersForLate(const JobLoad& job, size_t joined);
  // Forgets jobs that are not among these.
  void Keep(const std::vector<JobLoad>& jobs);

 private:
  struct Limit {         // what it got done while it was late
    size_t workers = 0;  // with so many
    double rate = 0;
    bool in_vain = false;  // more workers did not get more done
  };
  const double target_busy_;
  std::map<std::string, Limit> limits_;  // by uid
};

}  // namespace millrace
