// What a worker measures of itself as a whole: made once, so that /metrics has each of them from the start.
#pragma once

#include "common/metrics.h"
#include "worker/checkpoint/checkpointer.h"

namespace millrace {

struct WorkerMetrics {
  Histogram takeover_seconds;
  Counter fenced;
  CheckpointMetrics checkpoints;  // without a store they stay at 0
  Counter standby_bytes;          // likewise
};

inline WorkerMetrics MakeWorkerMetrics(Metrics& metrics) {
  WorkerMetrics made;
  made.takeover_seconds = metrics.MakeHistogram(
      "takeover_seconds", "From being told to own a partition to running it, failed tries included.", {},
      SecondsBuckets());
  made.fenced = metrics.MakeCounter(
      "fenced_total", "Partitions let go at once: a later owner was there, or the lease had run out.");
  made.checkpoints = MakeCheckpointMetrics(metrics);
  made.standby_bytes = metrics.MakeCounter(
      "standby_bytes_total", "Bytes of files fetched for copies of partitions that others own.");
  return made;
}

}  // namespace millrace
