#include "coordinator/views/partition_log.h"

#include <utility>

#include "common/frame/message_header.h"
#include "common/names.h"

namespace millrace {
namespace {

// Ticks and a stranger or two may stand behind the ingest's last message; so far back it is looked for.
constexpr uint64_t kLookBackMessages = 4;
constexpr int64_t kNsPerMilli = 1'000'000;

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

}  // namespace

std::vector<std::optional<PartitionReport>> NewestReports(const Cluster& cluster, const JobRecord& job) {
  std::vector<std::optional<PartitionReport>> reports(job.partitions);
  const auto rank = [](const PartitionReport& r) { return std::pair(r.epoch, r.offset); };
  for (const auto& [name, worker] : cluster.workers) {
    for (const PartitionReport& report : worker.lease.partitions) {
      if (report.uid != job.uid || report.partition >= job.partitions) continue;
      auto& newest = reports[report.partition];
      if (!newest || rank(report) > rank(*newest)) newest = report;
    }
  }
  return reports;
}

absl::StatusOr<std::vector<PartitionLog>> ReadPartitionLogs(Bus& bus, const Cluster& cluster,
                                                            const JobRecord& job) {
  const FinalStatus* final_status = cluster.FindFinal(job.uid);
  const bool all_applied = final_status != nullptr && final_status->state == "completed";
  const auto reports = NewestReports(cluster, job);
  std::vector<PartitionLog> logs(job.partitions);
  for (uint32_t p = 0; p < job.partitions; ++p) {
    const std::string stream = InputStream(job.name, kOnlySegment, PartitionId(p));
    const auto info = bus.GetStream(stream);
    // A submit that is under way may not have made it yet.
    if (absl::IsNotFound(info.status())) continue;
    if (!info.ok()) return info.status();
    logs[p].end = info->last_sequence;
    const uint64_t applied = all_applied ? info->last_sequence : reports[p] ? reports[p]->offset : 0;
    if (applied >= info->last_sequence) continue;
    const auto records = RecordsByHeader(bus, stream, job, *info);
    if (!records.ok()) return records.status();
    logs[p].records = *records;
    const auto next = bus.GetMessage(stream, applied + 1);
    if (next.ok()) {
      logs[p].oldest_ms = next->time_ns / kNsPerMilli;
    } else if (!absl::IsNotFound(next.status())) {
      return next.status();
    }
  }
  return logs;
}

}  // namespace millrace
