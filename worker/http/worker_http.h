// What a worker answers over HTTP: /healthz, /readyz, /metrics, /api/v1/partitions.
#pragma once

#include <map>
#include <memory>
#include <string>

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
  // `runtime` must live until it is replaced by another or by nullptr.
  void Serve(const WorkerRuntime* runtime);
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
  std::string MetricsText() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string PartitionsJson() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Update(Series& series, const PartitionReport& report);

  absl::Mutex mutex_;
  const WorkerRuntime* runtime_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Metrics metrics_;
  std::map<std::string, Series> series_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;  // last: it stops first, and its handlers use the rest
};

}  // namespace millrace
