// How many workers there should be: soon more when there is more to do, fewer only after a quiet time, as
// Kubernetes' HorizontalPodAutoscaler has it with its stabilization window.
#pragma once

#include <cstddef>
#include <optional>

#include "absl/time/time.h"
#include "coordinator/scaling/cluster_load.h"
#include "coordinator/scaling/pool_limits.h"

namespace millrace {

struct ScalingOptions {
  size_t min_workers = 1;
  size_t max_workers = 64;
  double target_busy = 0.7;  // the share of the lanes' time that work may take
  absl::Duration quiet = absl::Minutes(5);
};

// A cluster is to be so much smaller than its work would let it be before a worker goes: what sways by less does not make
// workers come and go.
inline constexpr double kDownTolerance = 1.1;
// The number of workers has not changed for so long, and rates are of what there is.
inline constexpr absl::Duration kSettled = absl::Seconds(15);

// Not thread-safe. By this process's own monotonic clock. Belongs to one reign: a leader that has just come begins with the
// workers that are there, and takes those that join within its first quiet time for wished ones; so that a
// change of leaders lets no worker go.
class WorkerWish {
 public:
  explicit WorkerWish(ScalingOptions options) : options_(options), pools_(options.target_busy) {}

  // What is wished from now on. The load that is known can only raise it while not all is known.
  size_t Next(const ClusterLoad& load, absl::Duration now);
  size_t wanted() const { return wish_; }  // what it said last; 0: nothing yet
  // Workers that the last load comes to, at the target, whatever the bounds are.
  double needed() const { return needed_; }

 private:
  // Workers, with a reserve of so much.
  size_t Bounded(const ClusterLoad& load, double reserve) const;
  void Need(const ClusterLoad& load);
  void Raise(const ClusterLoad& load);
  void Lower(const ClusterLoad& load, absl::Duration now);

  const ScalingOptions options_;
  PoolLimits pools_;
  double needed_ = 0;
  bool waits_elsewhere_ = false;  // some job does
  bool settled_ = false;
  std::optional<absl::Duration> began_;
  size_t joined_ = 0;
  absl::Duration joined_since_;
  size_t wish_ = 0;
  size_t before_ = 0;           // what the look before came to
  size_t most_in_quiet_ = 0;    // of what the looks came to since quiet_since_
  absl::Duration quiet_since_;  // each look since then came to fewer than are wished
};

}  // namespace millrace
