// What the requests of a stage to its service are measured by.
#pragma once

#include "common/handler/handler_call.h"
#include "common/handler/request_queue.h"
#include "common/metrics.h"

namespace millrace {

struct CallMetrics {
  Gauge out;
  Gauge waiting;
  Counter requests;
  Counter records;
  Counter retries;
  Counter divided;
  Counter failures;
  Histogram request_seconds;
};

// Labels `job` and `stage`: of all of the stage's partitions in the process.
CallMetrics MakeCallMetrics(Metrics& metrics, const HandlerStage& stage);
// What the queue has counted since `shown`, and how it stands.
void ShowCallMetrics(const RequestQueue& queue, RequestQueue::Counts* shown, CallMetrics* metrics);

}  // namespace millrace
