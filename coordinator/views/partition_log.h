// What a partition's input stream says of itself: the facts that lag and age are computed from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "coordinator/views/cluster.h"

namespace millrace {

struct PartitionLog {
  uint64_t end = 0;  // the last sequence; 0: empty
  // How many records the ingest has put there, by the header of its last message; nullopt when the stream's
  // last messages are not the ingest's (strangers', or it is a later segment's), and where more than one feeds it.
  std::optional<uint64_t> records;
  // Broker time of the oldest message that the partition has not applied; nullopt: it has applied all.
  std::optional<int64_t> oldest_ms;
};

struct PartitionLag {
  uint64_t records = 0;   // what the ingest counted less what was taken; without its count, messages
  int64_t oldest_ms = 0;  // age of the oldest that was not applied
};
// Of a partition that has applied `offset`, and taken `records_in` records up to it.
PartitionLag LagOf(const PartitionLog& log, uint64_t offset, uint64_t records_in, int64_t now_ms);

// What the owners last said of each partition of the job (JobRecord::IndexOf): the report of the greatest
// epoch, then offset. The leases of workers that are gone count too: theirs is the best that is known until
// the next owner speaks. Of a job that has ended, what its end keeps of them; nullopt where that is too many.
std::vector<std::optional<PartitionReport>> NewestReports(const Cluster& cluster, const JobRecord& job);

// What the partition's owner of now says of it; nullopt: it has none, or that one is silent or says nothing
// yet. An owner that cannot open the partition has no epoch, so it is not the newest report.
std::optional<PartitionReport> OwnersReport(const Cluster& cluster, const JobRecord& job, SegmentId segment,
                                            PartitionId partition);

// Asks the broker about the input streams, several at once; in the same order as the reports. Control plane
// only: any thread.
absl::StatusOr<std::vector<PartitionLog>> ReadPartitionLogs(Bus& bus, const Cluster& cluster,
                                                            const JobRecord& job);

}  // namespace millrace
