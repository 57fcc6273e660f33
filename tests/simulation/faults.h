// What is to go wrong in a run, and when: made from the seed before the run begins, so that a failing plan
// can be thinned out and run again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/cluster.h"

namespace millrace::sim {

struct Fault {
  enum class Kind {
    kKill,
    kPowerCut,
    kStop,     // and continue: the zombie
    kSuspend,  // likewise with the machine, whose monotonic clock stands still meanwhile
    kCut,      // from the broker, both ways; what was under way stays on the way
    kCutOut,   // nothing of it reaches the broker
    kCutIn,    // nothing reaches it
    kReset,    // its connections break and come back
    kSlow,     // everything takes its time
    kLoseAppends,
    kLoseAcks,
    kLoseAnswers,  // of blocking calls: done, and not known
    kDouble,
    kSwap,
    kClockLeap,  // its monotonic clock, as after a machine was asleep
    kWallShift,
    kDieAt,  // at a named failpoint, when it is passed for the n-th time
    kDiskFull,
    kDiskSlow,
    kBitFlip,   // and a kill: found when the state is opened again
    kDiskLost,  // with the machine, and with what told that it is the same one
    kBrokerRestart,
    kSecondIngest,
    kUpdate,  // new code: nothing wrong, but in the midst of the rest
    kKinds
  };
  Kind kind = Kind::kKill;
  absl::Duration at;
  absl::Duration lasts;
  uint32_t place = 0;  // among the cluster's
  uint32_t count = 1;
  std::string point;

  std::string ToString() const;
};

using FaultPlan = std::vector<Fault>;

// At most `most` faults within `span`; by order of time.
FaultPlan MakeFaultPlan(uint64_t seed, uint32_t places, uint32_t most, absl::Duration span);
// Arranges that all of it happens. REQUIRES: the cluster outlives the run.
void Schedule(Cluster& cluster, const FaultPlan& plan);
// When the last of it is over, and nobody waits any more for an answer that was lost.
absl::Duration EndOf(const FaultPlan& plan);

}  // namespace millrace::sim
