#include "common/handler/call_metrics.h"

namespace millrace {

CallMetrics MakeCallMetrics(Metrics& metrics, const HandlerStage& stage) {
  const MetricLabels labels = {{"job", stage.job}, {"stage", stage.name}};
  CallMetrics made;
  made.out = metrics.MakeGauge("call_requests_out", "Requests that a service has not answered.", labels);
  made.waiting =
      metrics.MakeGauge("call_waiting", "Records whose request is not on its way, repeats excepted.", labels);
  made.requests =
      metrics.MakeCounter("call_requests_total", "Requests sent to a service, repeated ones too.", labels);
  made.records = metrics.MakeCounter("call_records_total", "Records that were in these requests.", labels);
  made.retries = metrics.MakeCounter(
      "call_retries_total", "Requests that were not taken and are made once more, as they were.", labels);
  made.divided = metrics.MakeCounter("call_divided_total",
                                     "Batches that were not taken and go on in smaller ones.", labels);
  made.failures =
      metrics.MakeCounter("call_failures_total", "Records whose request failed for good.", labels);
  made.request_seconds =
      metrics.MakeHistogram("call_request_seconds", "From sending a request to its answer, or its failure.",
                            labels, SecondsBuckets());
  return made;
}

void ShowCallMetrics(const RequestQueue& queue, RequestQueue::Counts* shown, CallMetrics* metrics) {
  metrics->out.Set(static_cast<double>(queue.out()));
  metrics->waiting.Set(static_cast<double>(queue.waiting()));
  const RequestQueue::Counts& counts = queue.counts();
  const auto show = [&](Counter& counter, uint64_t RequestQueue::Counts::*count) {
    if (counts.*count != shown->*count) counter.Add(static_cast<double>(counts.*count - shown->*count));
  };
  show(metrics->requests, &RequestQueue::Counts::requests);
  show(metrics->records, &RequestQueue::Counts::records);
  show(metrics->retries, &RequestQueue::Counts::retries);
  show(metrics->divided, &RequestQueue::Counts::divided);
  show(metrics->failures, &RequestQueue::Counts::failures);
  *shown = counts;
}

}  // namespace millrace
