#include "coordinator/service/lag_meter.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "coordinator/views/partition_log.h"
#include "coordinator/views/views.h"

namespace millrace {

LagMeter::LagMeter(Bus& bus, Clock& clock, Metrics& metrics, Options options)
    : bus_(bus), clock_(clock), metrics_(metrics), options_(options), thread_([this] { Run(); }) {}

LagMeter::~LagMeter() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void LagMeter::Update(const std::shared_ptr<const ClusterSnapshot>& snapshot) {
  absl::MutexLock lock(&mutex_);
  if (snapshot == nullptr && snapshot_ != nullptr) ++reigns_;
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
  if (reign_ != reigns_) wish_.reset();
  reign_ = reigns_;
  return stopping_ ? nullptr : snapshot_;
}

void LagMeter::Run() {
  while (const std::shared_ptr<const ClusterSnapshot> snapshot = AwaitSnapshot()) {
    const absl::Duration began = clock_.Monotonic();
    Measure(DecodeCluster(snapshot->jobs, snapshot->workers, snapshot->assignments));
    const absl::Duration pause = std::max(options_.interval, kLagTimeShare * (clock_.Monotonic() - began));
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause);
  }
}

// A job that the broker cannot be asked about shows nothing: an old number would look like a good one.
void LagMeter::Measure(const Cluster& cluster) {
  Series series;
  JobLogs logs;
  for (const auto& [name, job] : cluster.jobs) {
    if (stopping()) return;
    ShowSinkLag(cluster, job, &series);
    if (cluster.FindFinal(job.uid) != nullptr) continue;
    absl::StatusOr<std::vector<PartitionLog>> read = ReadPartitionLogs(bus_, cluster, job);
    if (!read.ok()) {
      LogWarning("cannot tell how far a job is behind", {{"job", name}, {"why", read.status()}});
      continue;
    }
    ShowLag(cluster, job, *read, &series);
    logs[job.uid] = *std::move(read);
  }
  // Who has assigned in this term has read everything: before that, workers may seem not to be there.
  const bool reigns = cluster.term && cluster.assignment && cluster.assignment->term == cluster.term->term;
  if (reigns) ShowWish(cluster, logs, &series);
  absl::MutexLock lock(&mutex_);
  // What was measured for a reign that has ended is shown by nobody.
  if (snapshot_ != nullptr && reign_ == reigns_)
    std::swap(shown_, series);  // those of before go behind the lock
}

// Results may still be on their way when a job has ended.
void LagMeter::ShowSinkLag(const Cluster& cluster, const JobRecord& job, Series* series) {
  const auto sink = cluster.sinks.find(job.uid);
  if (sink == cluster.sinks.end() || sink->second.done) return;
  series->push_back(metrics_.MakeGauge(
      "sink_lag_records", "Results that were not brought out to the job's sink yet.", {{"job", job.name}}));
  series->back().Set(static_cast<double>(SinkLag(cluster, job)));
}

void LagMeter::ShowLag(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>& logs,
                       Series* series) {
  const auto reports = NewestReports(cluster, job);
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      const size_t i = job.IndexOf(SegmentId(s), PartitionId(p));
      const PartitionReport known = reports[i].value_or(PartitionReport());
      const PartitionLag lag = LagOf(logs[i], known.offset, known.records_in, now_ms);
      const MetricLabels labels = PartitionLabels(job.name, s, p);
      series->push_back(metrics_.MakeGauge(
          "lag_records",
          "Records in the log that the partition has not taken; without their count, messages.", labels));
      series->back().Set(static_cast<double>(lag.records));
      series->push_back(metrics_.MakeGauge(
          "oldest_record_seconds", "Age of the oldest message that was not applied; 0: all were.", labels));
      series->back().Set(static_cast<double>(lag.oldest_ms) / 1e3);
    }
  }
}

void LagMeter::ShowWish(const Cluster& cluster, const JobLogs& logs, Series* series) {
  const absl::Duration now = clock_.Monotonic();
  const ClusterLoad load = loads_.Look(cluster, logs, now);
  if (!wish_.has_value()) wish_.emplace(options_.scaling);
  const size_t before = wish_->wanted();
  const size_t wanted = wish_->Next(load, now);
  if (wanted != before) {
    LogInfo("workers wanted", {{"wanted", wanted}, {"joined", load.joined}, {"needed", wish_->needed()}});
  }
  const auto show = [series](Gauge gauge, double value) {
    gauge.Set(value);
    series->push_back(std::move(gauge));
  };
  show(metrics_.MakeGauge("workers_wanted", "workers that there should be"), static_cast<double>(wanted));
  show(metrics_.MakeGauge("workers_joined", "workers that are ready and do not drain"),
       static_cast<double>(load.joined));
  show(metrics_.MakeGauge("workers_needed", "workers that the work comes to, before bounds and patience"),
       wish_->needed());
}

}  // namespace millrace
