#include "common/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <functional>
#include <utility>

#include "absl/synchronization/mutex.h"

namespace millrace {

namespace metrics_internal {

// One of the three is set. Takes itself out of the registry at its end.
struct Series {
  prometheus::Counter* counter = nullptr;
  prometheus::Gauge* gauge = nullptr;
  prometheus::Histogram* histogram = nullptr;
  std::function<void()> remove;

  Series() = default;
  Series(const Series&) = delete;
  Series& operator=(const Series&) = delete;
  ~Series() { remove(); }
};

}  // namespace metrics_internal

using metrics_internal::Series;

struct MetricsImpl : std::enable_shared_from_this<MetricsImpl> {
  using Key = std::pair<std::string, MetricLabels>;
  using Fill = std::function<std::function<void()>(Series&)>;

  // The living series of that key, or one that `fill` has filled.
  std::shared_ptr<Series> Find(const std::string& name, const MetricLabels& labels, const Fill& fill) {
    absl::MutexLock lock(&mutex);
    const Key key(name, labels);
    if (auto living = series[key].lock()) return living;
    auto made = std::make_shared<Series>();
    // A handle may be the last to know of the registry: it keeps it.
    made->remove = [self = shared_from_this(), key, remove = fill(*made)] {
      absl::MutexLock relock(&self->mutex);
      // While the last handle went, another one may have been asked for: prometheus gave it the same series.
      const auto at = self->series.find(key);
      if (at != self->series.end() && !at->second.expired()) return;
      self->series.erase(key);
      remove();
    };
    series[key] = made;
    return made;
  }

  absl::Mutex mutex;
  std::map<Key, std::weak_ptr<Series>> series ABSL_GUARDED_BY(mutex);
  prometheus::Registry registry;
};

namespace {
std::string FullName(const std::string& name) { return "millrace_" + name; }
}  // namespace

MetricLabels PartitionLabels(const std::string& job, uint32_t segment, uint32_t partition) {
  return {{"job", job}, {"segment", std::to_string(segment)}, {"partition", std::to_string(partition)}};
}

std::vector<double> SecondsBuckets() {
  return {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60};
}

void Counter::Add(double amount) {
  if (series_ != nullptr) series_->counter->Increment(amount);
}
void Gauge::Set(double value) {
  if (series_ != nullptr) series_->gauge->Set(value);
}
void Histogram::Observe(double value) {
  if (series_ != nullptr) series_->histogram->Observe(value);
}

Metrics::Metrics() : impl_(std::make_shared<MetricsImpl>()) {}
Metrics::~Metrics() = default;

Counter Metrics::MakeCounter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Counter handle;
  handle.series_ = impl_->Find(name, labels, [&](Series& series) {
    auto& family = prometheus::BuildCounter().Name(FullName(name)).Help(help).Register(impl_->registry);
    series.counter = &family.Add(labels);
    return [&family, metric = series.counter] { family.Remove(metric); };
  });
  return handle;
}

Gauge Metrics::MakeGauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  Gauge handle;
  handle.series_ = impl_->Find(name, labels, [&](Series& series) {
    auto& family = prometheus::BuildGauge().Name(FullName(name)).Help(help).Register(impl_->registry);
    series.gauge = &family.Add(labels);
    return [&family, metric = series.gauge] { family.Remove(metric); };
  });
  return handle;
}

Histogram Metrics::MakeHistogram(const std::string& name, const std::string& help, const MetricLabels& labels,
                                 const std::vector<double>& buckets) {
  Histogram handle;
  handle.series_ = impl_->Find(name, labels, [&](Series& series) {
    auto& family = prometheus::BuildHistogram().Name(FullName(name)).Help(help).Register(impl_->registry);
    series.histogram = &family.Add(labels, buckets);
    return [&family, metric = series.histogram] { family.Remove(metric); };
  });
  return handle;
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace millrace
