// How far each partition is behind its log, and how many workers should be there for it, as metrics of the coordinator that
// leads: it sees the partitions that nobody owns, too. Asking the broker takes time, so a thread of its own does.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "coordinator/leader/cluster_view.h"
#include "coordinator/scaling/load_meter.h"
#include "coordinator/scaling/worker_wish.h"
#include "coordinator/views/cluster.h"

namespace millrace {

inline constexpr absl::Duration kLagInterval = absl::Seconds(5);  // between two measurements, at least
inline constexpr int kLagTimeShare = 10;  // at most one part in so many of the time is spent measuring

class LagMeter {
 public:
  struct Options {
    absl::Duration interval = kLagInterval;
    ScalingOptions scaling;
  };
  // All outlive it.
  LagMeter(Bus& bus, Clock& clock, Metrics& metrics, Options options);
  ~LagMeter();  // waits for the question that is being asked
  LagMeter(const LagMeter&) = delete;
  LagMeter& operator=(const LagMeter&) = delete;

  // What the next measurement is of; nullptr: this coordinator does not lead, and shows no lag. Does not wait.
  void Update(const std::shared_ptr<const ClusterSnapshot>& snapshot);

 private:
  using Series = std::vector<Gauge>;

  void Run();
  std::shared_ptr<const ClusterSnapshot> AwaitSnapshot();  // nullptr: it is over
  void Measure(const Cluster& cluster);
  void ShowSinkLag(const Cluster& cluster, const JobRecord& job, Series* series);
  void ShowLag(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>& logs,
               Series* series);
  void ShowWish(const Cluster& cluster, const JobLogs& logs, Series* series);
  bool stopping() const;

  Bus& bus_;
  Clock& clock_;
  Metrics& metrics_;
  const Options options_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const ClusterSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Series shown_ ABSL_GUARDED_BY(mutex_);         // each is there as long as its handle
  uint64_t reigns_ ABSL_GUARDED_BY(mutex_) = 0;  // that have ended
  // The thread's own.
  uint64_t reign_ = 0;
  LoadMeter loads_;
  std::optional<WorkerWish> wish_;  // of this reign
  std::thread thread_;              // last: it uses the rest
};

}  // namespace millrace
