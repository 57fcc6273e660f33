// How far each partition is behind its log, as metrics of the coordinator that leads: it sees the partitions that
// nobody owns, too. Asking the broker takes time, so a thread of its own does.
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
#include "coordinator/views/cluster.h"

namespace millrace {

inline constexpr absl::Duration kLagInterval = absl::Seconds(5);  // between two measurements, at least
inline constexpr int kLagTimeShare = 10;  // at most one part in so many of the time is spent measuring

class LagMeter {
 public:
  // All outlive it. `interval` is for tests.
  LagMeter(Bus& bus, Clock& clock, Metrics& metrics, absl::Duration interval = kLagInterval);
  ~LagMeter();  // waits for the question that is being asked
  LagMeter(const LagMeter&) = delete;
  LagMeter& operator=(const LagMeter&) = delete;

  // What the next measurement is of; nullptr: this coordinator does not lead, and shows no lag. Does not wait.
  void Update(const std::shared_ptr<const ClusterSnapshot>& snapshot);

 private:
  struct Series {
    Gauge lag_records, oldest_record_seconds;  // of a partition
    Gauge sink_lag_records;                    // of a job
  };

  void Run();
  std::shared_ptr<const ClusterSnapshot> AwaitSnapshot();  // nullptr: it is over
  void Measure(const Cluster& cluster);
  absl::StatusOr<std::vector<Series>> MeasureJob(const Cluster& cluster, const JobRecord& job);
  bool stopping() const;

  Bus& bus_;
  Clock& clock_;
  Metrics& metrics_;
  const absl::Duration interval_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const ClusterSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Series> shown_ ABSL_GUARDED_BY(mutex_);  // a series is there as long as its handle
  std::thread thread_;                                 // last: it uses the rest
};

}  // namespace millrace
