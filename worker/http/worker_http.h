// What a worker answers over HTTP: /healthz, /readyz, /metrics, /api/v1/partitions.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/cluster/documents.h"
#include "common/http/http_server.h"
#include "common/metrics.h"

namespace millrace {

class WorkerRuntime;

// Thread-safe. Answers from the start on; until a runtime is served, /readyz says no.
class WorkerHttp {
 public:
  absl::Status Start(const std::string& address);
  // REQUIRES: Start succeeded.
  std::string address() const { return server_->address(); }
  // What is asked of a runtime: on the server's threads, by several at once.
  struct Source {
    std::function<bool()> ready;
    std::function<std::vector<PartitionReport>()> reports;
  };
  // `runtime` must live until it is replaced by another or by nullptr; likewise what a source asks.
  void Serve(const WorkerRuntime* runtime);
  void Serve(Source source);
  // The process's; what others add to it is answered too.
  Metrics& metrics() { return metrics_; }

 private:
  // A partition's series: counters are fed with what a report adds to the one before.
  struct Series {
    PartitionReport last;
    Counter items_in, items_out, errors, dead_letters, retries, skipped;
    std::map<std::string, Counter> inspected;  // by stage
    Gauge offset, committed_offset, checkpoint_offset, state_keys, state_bytes;
  };

  HttpResponse Answer(const HttpRequest& request);
  HttpResponse AnswerFromSource(const HttpRequest& request);
  std::string MetricsText() ABSL_SHARED_LOCKS_REQUIRED(mutex_) ABSL_LOCKS_EXCLUDED(series_mutex_);
  std::string PartitionsJson() ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Update(Series& series, const PartitionReport& report);

  // Held for reading by each answer that asks the source: it lives until the answer is there, and none waits
  // for another.
  absl::Mutex mutex_;
  Source source_ ABSL_GUARDED_BY(mutex_);  // empty functions: there is none
  Metrics metrics_;
  absl::Mutex series_mutex_ ABSL_ACQUIRED_AFTER(mutex_);
  std::map<std::string, Series> series_ ABSL_GUARDED_BY(series_mutex_);
  std::unique_ptr<HttpServer> server_;  // last: it stops first, and its handlers use the rest
};

}  // namespace millrace
