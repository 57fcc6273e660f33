#include "common/handler/handler_metrics.h"

namespace millrace {

HandlerMetrics MakeHandlerMetrics(Metrics& metrics, const HandlerStage& stage) {
  const MetricLabels labels = {{"job", stage.job}, {"stage", stage.name}};
  HandlerMetrics made;
  made.handlers = metrics.MakeGauge(
      "handlers", "Handler processes that are registered, or threads of the stage's pool.", labels);
  made.waiting = metrics.MakeGauge("handler_waiting", "Calls that wait for a handler or a thread.", labels);
  made.batches_out =
      metrics.MakeGauge("handler_batches_out", "Batches that handlers or threads have.", labels);
  made.calls =
      metrics.MakeCounter("handler_calls_total", "Calls sent to handlers, repeated ones too.", labels);
  made.batches = metrics.MakeCounter("handler_batches_total", "Batches of calls sent to handlers.", labels);
  made.lost = metrics.MakeCounter(
      "handler_lost_total", "Batches whose handler died, hung or lied after it had begun them.", labels);
  made.lies =
      metrics.MakeCounter("handler_lies_total", "Messages of handlers that broke the protocol.", labels);
  made.ignored =
      metrics.MakeCounter("handler_ignored_total", "Results of batches that were given to others.", labels);
  made.batch_seconds = metrics.MakeHistogram("handler_batch_seconds", "From sending a batch to its result.",
                                             labels, SecondsBuckets());
  return made;
}

}  // namespace millrace
