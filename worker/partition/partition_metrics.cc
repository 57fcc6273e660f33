#include "worker/partition/partition_metrics.h"

#include <vector>

namespace millrace {
namespace {

// A message of a few cheap records takes microseconds, one whose user code waits for its timeout a minute.
std::vector<double> StepSecondsBuckets() {
  return {0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 10, 60};
}

std::vector<double> CommitBytesBuckets() {
  return {1 << 10, 8 << 10, 64 << 10, 512 << 10, 4 << 20, 32 << 20, 256 << 20};
}

}  // namespace

PartitionMetrics MakePartitionMetrics(Metrics& metrics, const PartitionKey& partition,
                                      const Counter& fenced) {
  const MetricLabels labels =
      PartitionLabels(partition.job, partition.segment.value(), partition.partition.value());
  PartitionMetrics made;
  made.inflight = metrics.MakeGauge(
      "inflight", "Messages of outputs and dead letters that the broker has not acknowledged.", labels);
  made.queue_depth = metrics.MakeGauge("queue_depth", "Messages received and not applied.", labels);
  made.oldest_record_seconds = metrics.MakeGauge(
      "oldest_record_seconds", "Age of the oldest message that waits; 0: none does.", labels);
  made.queue_seconds = metrics.MakeHistogram(
      "queue_seconds", "From the log to the beginning of a message's step; one message a turn is measured.",
      labels, SecondsBuckets());
  made.process_seconds = metrics.MakeHistogram(
      "process_seconds", "A message's step; one message a turn is measured.", labels, StepSecondsBuckets());
  made.commit_seconds =
      metrics.MakeHistogram("commit_seconds", "Writing a commit to disk.", labels, SecondsBuckets());
  made.commit_bytes = metrics.MakeHistogram("commit_bytes", "Bytes of keys and values in a commit.", labels,
                                            CommitBytesBuckets());
  made.fenced = fenced;
  return made;
}

}  // namespace millrace
