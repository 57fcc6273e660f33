#include "coordinator/views/partition_log.h"

#include <algorithm>
#include <utility>

#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/parallel.h"

namespace millrace {
namespace {

// Ticks and a stranger or two may stand behind the ingest's last message; so far back it is looked for.
constexpr uint64_t kLookBackMessages = 4;
constexpr int64_t kNsPerMilli = 1'000'000;
constexpr size_t kMaxLogReaders = 8;  // questions to the broker at once
constexpr uint64_t kEverything = UINT64_MAX;

absl::StatusOr<std::optional<uint64_t>> RecordsByHeader(Bus& bus, const std::string& stream,
                                                        const JobRecord& job, const StreamInfo& info) {
  for (uint64_t back = 0; back < kLookBackMessages && back < info.last_sequence; ++back) {
    const uint64_t sequence = info.last_sequence - back;
    if (sequence < info.first_sequence) break;
    const auto message = bus.GetMessage(stream, sequence);
    if (absl::IsNotFound(message.status())) continue;
    if (!message.ok()) return message.status();
    const auto header = ParseMessageHeader(message->header);
    if (header.ok() && header->uid == job.uid && header->writer == kIngestWriter) {
      return std::optional<uint64_t>(header->records);
    }
  }
  return std::optional<uint64_t>();
}

absl::Status ReadPartitionLog(Bus& bus, const Cluster& cluster, const JobRecord& job,
                              const std::string& stream, uint64_t applied, PartitionLog* log) {
  const auto info = bus.GetStream(stream);
  // A submit that is under way may not have made it yet.
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  if (!info.ok()) return info.status();
  log->end = info->last_sequence;
  if (applied >= info->last_sequence) return absl::OkStatus();
  // One writer of several counts only what is its own.
  if (!cluster.added.contains(job.uid)) {
    const auto records = RecordsByHeader(bus, stream, job, *info);
    if (!records.ok()) return records.status();
    log->records = *records;
  }
  const auto next = bus.GetMessage(stream, applied + 1);
  if (next.ok()) log->oldest_ms = next->time_ns / kNsPerMilli;
  return absl::IsNotFound(next.status()) ? absl::OkStatus() : next.status();
}

}  // namespace

PartitionLag LagOf(const PartitionLog& log, uint64_t offset, uint64_t records_in, int64_t now_ms) {
  PartitionLag lag;
  if (offset >= log.end) return lag;
  if (!log.records) {
    lag.records = log.end - offset;
  } else if (*log.records > records_in) {
    lag.records = *log.records - records_in;
  }
  if (log.oldest_ms) lag.oldest_ms = std::max<int64_t>(0, now_ms - *log.oldest_ms);
  return lag;
}

std::vector<std::optional<PartitionReport>> NewestReports(const Cluster& cluster, const JobRecord& job) {
  std::vector<std::optional<PartitionReport>> reports(job.all_partitions());
  const auto rank = [](const PartitionReport& r) { return std::pair(r.epoch, r.offset); };
  const auto take = [&](const std::vector<PartitionReport>& said) {
    for (const PartitionReport& report : said) {
      const SegmentId segment(report.segment);
      if (report.uid != job.uid || report.segment >= job.segments()) continue;
      if (report.partition >= job.partitions_of(segment)) continue;
      auto& newest = reports[job.IndexOf(segment, PartitionId(report.partition))];
      if (!newest || rank(report) > rank(*newest)) newest = report;
    }
  };
  if (const FinalStatus* final_status = cluster.FindFinal(job.uid)) take(final_status->partitions);
  for (const auto& [name, worker] : cluster.workers) take(worker.lease.partitions);
  return reports;
}

std::optional<PartitionReport> OwnersReport(const Cluster& cluster, const JobRecord& job, SegmentId segment,
                                            PartitionId partition) {
  const JobAssignment* const assigned = cluster.FindAssigned(job.uid);
  const size_t index = job.IndexOf(segment, partition);
  if (assigned == nullptr || index >= assigned->owners.size()) return std::nullopt;
  const auto owner = cluster.workers.find(assigned->owners[index]);
  if (owner == cluster.workers.end() || cluster.IsLost(owner->second)) return std::nullopt;
  for (const PartitionReport& report : owner->second.lease.partitions) {
    if (report.uid == job.uid && report.segment == segment.value() && report.partition == partition.value())
      return report;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<PartitionLog>> ReadPartitionLogs(Bus& bus, const Cluster& cluster,
                                                            const JobRecord& job) {
  const FinalStatus* final_status = cluster.FindFinal(job.uid);
  const bool all_applied = final_status != nullptr && final_status->state == "completed";
  const auto reports = NewestReports(cluster, job);
  std::vector<std::string> streams;
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      streams.push_back(InputStream(job.name, SegmentId(s), PartitionId(p)));
    }
  }
  std::vector<PartitionLog> logs(streams.size());
  const absl::Status read = ParallelFor(streams.size(), kMaxLogReaders, [&](size_t i) {
    const uint64_t applied = all_applied ? kEverything : reports[i] ? reports[i]->offset : 0;
    return ReadPartitionLog(bus, cluster, job, streams[i], applied, &logs[i]);
  });
  if (!read.ok()) return read;
  return logs;
}

}  // namespace millrace
