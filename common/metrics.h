// Metrics in the Prometheus text format. The only file pair that knows prometheus-cpp.
//
// A series lives as long as somebody holds its handle: a partition that moves away takes its series along.
// Handles of one name and labels share one series. Updating a handle may be done on any thread: a counter or a
// gauge takes no lock, a histogram one of its own for an instant; making one takes a lock and is for set-up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

// Of the names job, stage, segment, partition, state; never a record's key, which has no bound.
using MetricLabels = std::map<std::string, std::string>;
MetricLabels PartitionLabels(const std::string& job, uint32_t segment, uint32_t partition);

namespace metrics_internal {
struct Series;
}

// Only grows.
class Counter {
 public:
  Counter() = default;  // counts nothing
  void Add(double amount = 1);

 private:
  friend class Metrics;
  std::shared_ptr<metrics_internal::Series> series_;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value);

 private:
  friend class Metrics;
  std::shared_ptr<metrics_internal::Series> series_;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value);

 private:
  friend class Metrics;
  std::shared_ptr<metrics_internal::Series> series_;
};

// A process has one, made in main and handed on. Thread-safe. Outlives its handles or not: both are fine.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // `name` without the prefix `millrace_`, in base units: "commit_seconds". The first call with a name
  // settles its help. REQUIRES: one name is one kind.
  Counter MakeCounter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Gauge MakeGauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // `buckets`: upper bounds, rising.
  Histogram MakeHistogram(const std::string& name, const std::string& help, const MetricLabels& labels,
                          const std::vector<double>& buckets);

  // All series, in the text format 0.0.4 (content type kMetricsContentType).
  std::string Text() const;

 private:
  std::shared_ptr<struct MetricsImpl> impl_;
};

inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// For durations from a tenth of a millisecond to about a minute.
std::vector<double> SecondsBuckets();

}  // namespace millrace
