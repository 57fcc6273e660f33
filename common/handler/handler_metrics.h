// What a pool of handlers measures.
#pragma once

#include "common/handler/handler_call.h"
#include "common/metrics.h"

namespace millrace {

struct HandlerMetrics {
  Gauge handlers;
  Gauge waiting;
  Gauge batches_out;
  Counter calls;
  Counter batches;
  Counter lost;
  Counter lies;
  Counter ignored;
  Histogram batch_seconds;
};

// Labels `job` and `stage`: a pool is of all of the stage's partitions in the process.
HandlerMetrics MakeHandlerMetrics(Metrics& metrics, const HandlerStage& stage);

}  // namespace millrace
