// What a partition measures of its own work, beside what it reports in the lease: the lease is to stay small, and
// these are read where the worker answers /metrics. Made where the partition is opened, gone when it goes.
#pragma once

#include <cstdint>

#include "common/metrics.h"
#include "worker/partition/partition_id.h"

namespace millrace {

// Handles that were not made count nothing.
struct PartitionMetrics {
  // As of the lane's last tick.
  Gauge inflight;               // outputs and dead letters that the broker has not acknowledged
  Gauge queue_depth;            // messages received and not applied
  Gauge oldest_record_seconds;  // age of the first of them; 0: none waits
  // One message of each turn of the lane is measured: see Partition::MeasureStep.
  Histogram queue_seconds;
  Histogram process_seconds;
  // Every commit that came to the disk.
  Histogram commit_seconds;
  Histogram commit_bytes;
  // The worker's, shared by its partitions: one that was superseded takes its own series with it.
  Counter fenced;
};

PartitionMetrics MakePartitionMetrics(Metrics& metrics, const PartitionKey& partition, const Counter& fenced);

}  // namespace millrace
