#include "coordinator/scaling/worker_wish.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {
constexpr double kRounding = 1e-6;  // 2.1 / 0.7 is 3, whatever doubles make of it
}

size_t WorkerWish::Next(const ClusterLoad& load, absl::Duration now) {
  if (!began_.has_value()) {
    began_ = quiet_since_ = joined_since_ = now;
    joined_ = load.joined;
  }
  if (joined_ != load.joined) joined_since_ = now;
  joined_ = load.joined;
  settled_ = now - joined_since_ >= kSettled;
  if (now - *began_ < options_.quiet) wish_ = std::max(wish_, load.joined);
  wish_ = std::clamp(wish_, options_.min_workers, options_.max_workers);
  Need(load);
  Raise(load);
  Lower(load, now);
  return wish_;
}

void WorkerWish::Need(const ClusterLoad& load) {
  const std::vector<bool> elsewhere = WaitElsewhere(load);
  needed_ = 0;
  waits_elsewhere_ = false;
  for (size_t j = 0; j < load.jobs.size(); ++j) {
    double of_job = 0;
    // Lanes that wait for something else would not work a lag off, however many there were.
    for (const PartitionLoad& p : load.jobs[j].partitions) of_job += elsewhere[j] ? p.busy : LanesFor(p);
    const double by_lanes = of_job / load.lanes / options_.target_busy;
    const double by_pools = elsewhere[j] && settled_ ? pools_.WorkersForLate(load.jobs[j], load.joined)
                                                     : pools_.WorkersFor(load.jobs[j]);
    waits_elsewhere_ |= by_pools > by_lanes;
    needed_ += std::max(by_lanes, by_pools);
  }
  pools_.Keep(load.jobs);
}

// Never more than partitions can use: each is on one lane, or at least on one worker.
size_t WorkerWish::Bounded(const ClusterLoad& load, double reserve) const {
  const double a_worker = waits_elsewhere_ ? 1 : load.lanes;
  const double usable = std::ceil(static_cast<double>(load.partitions) / a_worker);
  const double wanted = std::min(std::ceil(needed_ * reserve - kRounding), usable);
  const double most = static_cast<double>(options_.max_workers);
  return std::max(static_cast<size_t>(std::clamp(wanted, 0.0, most)), options_.min_workers);
}

// What one look came to may be a gust; two agree. No more than twice what has joined: what those get done shows whether
// there is need of more.
void WorkerWish::Raise(const ClusterLoad& load) {
  const size_t wanted = Bounded(load, 1);
  const size_t agreed = std::min({wanted, before_, 2 * std::max<size_t>(load.joined, 1)});
  before_ = wanted;
  wish_ = std::max(wish_, agreed);
}

void WorkerWish::Lower(const ClusterLoad& load, absl::Duration now) {
  const size_t enough = Bounded(load, kDownTolerance);
  if (!load.whole || enough >= wish_) {
    quiet_since_ = now;
    most_in_quiet_ = 0;
    return;
  }
  most_in_quiet_ = std::max(most_in_quiet_, enough);
  if (now - quiet_since_ < options_.quiet) return;
  wish_ = std::max(most_in_quiet_, (wish_ + 1) / 2);
  quiet_since_ = now;
  most_in_quiet_ = 0;
}

}  // namespace millrace
