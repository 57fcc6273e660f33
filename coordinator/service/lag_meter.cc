#include "coordinator/service/lag_meter.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "coordinator/views/partition_log.h"
#include "coordinator/views/views.h"

namespace millrace {

LagMeter::LagMeter(Bus& bus, Clock& clock, Metrics& metrics, absl::Duration interval)
    : bus_(bus), clock_(clock), metrics_(metrics), interval_(interval), thread_([this] { Run(); }) {}

LagMeter::~LagMeter() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void LagMeter::Update(const std::shared_ptr<const ClusterSnapshot>& snapshot) {
  absl::MutexLock lock(&mutex_);
  snapshot_ = snapshot;
  if (snapshot_ == nullptr) shown_.clear();
}

bool LagMeter::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

std::shared_ptr<const ClusterSnapshot> LagMeter::AwaitSnapshot() {
  const auto wanted = [this]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || snapshot_ != nullptr; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&wanted));
  return stopping_ ? nullptr : snapshot_;
}

void LagMeter::Run() {
  while (const std::shared_ptr<const ClusterSnapshot> snapshot = AwaitSnapshot()) {
    const absl::Duration began = clock_.Monotonic();
    Measure(DecodeCluster(snapshot->jobs, snapshot->workers, snapshot->assignments));
    const absl::Duration pause = std::max(interval_, kLagTimeShare * (clock_.Monotonic() - began));
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause);
  }
}

// A job that the broker cannot be asked about shows nothing: an old number would look like a good one.
void LagMeter::Measure(const Cluster& cluster) {
  std::vector<Series> series;
  for (const auto& [name, job] : cluster.jobs) {
    if (stopping()) return;
    // Results may still be on their way when a job has ended.
    const auto sink = cluster.sinks.find(job.uid);
    if (sink != cluster.sinks.end() && !sink->second.done) {
      Gauge& lag = series.emplace_back().sink_lag_records;
      lag = metrics_.MakeGauge("sink_lag_records", "Results that were not brought out to the job's sink yet.",
                               {{"job", name}});
      lag.Set(static_cast<double>(SinkLag(cluster, job)));
    }
    if (cluster.FindFinal(job.uid) != nullptr) continue;
    absl::StatusOr<std::vector<Series>> measured = MeasureJob(cluster, job);
    if (!measured.ok()) {
      LogWarning("cannot tell how far a job is behind", {{"job", name}, {"why", measured.status()}});
      continue;
    }
    std::move(measured->begin(), measured->end(), std::back_inserter(series));
  }
  absl::MutexLock lock(&mutex_);
  if (snapshot_ != nullptr) std::swap(shown_, series);  // those of before go when the lock is given back
}

absl::StatusOr<std::vector<LagMeter::Series>> LagMeter::MeasureJob(const Cluster& cluster,
                                                                   const JobRecord& job) {
  const auto logs = ReadPartitionLogs(bus_, cluster, job);
  if (!logs.ok()) return logs.status();
  const auto reports = NewestReports(cluster, job);
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  std::vector<Series> measured;
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      const size_t i = job.IndexOf(SegmentId(s), PartitionId(p));
      const PartitionReport known = reports[i].value_or(PartitionReport());
      const PartitionLag lag = LagOf((*logs)[i], known.offset, known.records_in, now_ms);
      const MetricLabels labels = PartitionLabels(job.name, s, p);
      Series& series = measured.emplace_back();
      series.lag_records = metrics_.MakeGauge(
          "lag_records",
          "Records in the log that the partition has not taken; without their count, messages.", labels);
      series.oldest_record_seconds = metrics_.MakeGauge(
          "oldest_record_seconds", "Age of the oldest message that was not applied; 0: all were.", labels);
      series.lag_records.Set(static_cast<double>(lag.records));
      series.oldest_record_seconds.Set(static_cast<double>(lag.oldest_ms) / 1e3);
    }
  }
  return measured;
}

}  // namespace millrace
