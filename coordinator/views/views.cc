#include "coordinator/views/views.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/time/time.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

struct Totals {
  uint64_t records_in = 0;
  uint64_t records_out = 0;
  uint64_t dead_letters = 0;
  uint64_t skipped = 0;
  std::vector<StageCount> inspected = {};
};

Totals TotalsOf(const Cluster& cluster, const JobRecord& job) {
  // Lines that were no record never reached a partition, but they are dead letters like the others.
  const auto fed = cluster.fed.find(job.uid);
  uint64_t rejected = fed != cluster.fed.end() ? fed->second.rejected : 0;
  if (const auto added = cluster.added.find(job.uid); added != cluster.added.end()) {
    for (const auto& [number, beside] : added->second) rejected += beside.fed ? beside.fed->rejected : 0;
  }
  if (const FinalStatus* final_status = cluster.FindFinal(job.uid)) {
    return {final_status->records_in, final_status->records_out, final_status->dead_letters + rejected,
            final_status->skipped, final_status->inspected};
  }
  Totals totals;
  totals.dead_letters = rejected;
  for (const auto& report : NewestReports(cluster, job)) {
    if (!report) continue;
    if (report->segment == kFirstSegment.value()) totals.records_in += report->records_in;
    if (report->segment == job.last_segment().value()) totals.records_out += report->records_out;
    totals.dead_letters += report->dead_letters;
    totals.skipped += report->skipped;
    AddCounts(report->inspected, &totals.inspected);
  }
  return totals;
}

ViewJson CountsJson(const std::vector<StageCount>& counts) {
  ViewJson by_stage = ViewJson::object();
  for (const StageCount& count : counts) by_stage[count.stage] = count.records;
  return by_stage;
}

ViewJson TimeJson(int64_t ms) {
  if (ms == 0) return nullptr;
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

bool IsCompleted(const Cluster& cluster, const JobRecord& job) {
  const FinalStatus* final_status = cluster.FindFinal(job.uid);
  return final_status != nullptr && final_status->state == "completed";
}

int64_t AgeMs(int64_t now_ms, int64_t then_ms) { return std::max<int64_t>(0, now_ms - then_ms); }

std::string PartitionStateOf(const Cluster& cluster, const JobRecord& job, const std::string& owner,
                             const std::optional<PartitionReport>& report) {
  if (const FinalStatus* final_status = cluster.FindFinal(job.uid)) return final_status->state;
  if (const JobAssignment* assigned = cluster.FindAssigned(job.uid);
      assigned != nullptr && assigned->paused) {
    return "paused";
  }
  if (owner.empty()) return "unassigned";
  return report ? report->state : "starting";
}

struct PartitionPlace {
  SegmentId segment;
  PartitionId partition;
};

std::string NameAt(const std::vector<std::string>& names, size_t index) {
  return index < names.size() ? names[index] : "";
}

// Of the copy that the worker said it has of the partition; null: it has said nothing.
ViewJson CopiedOffset(const Cluster& cluster, const JobRecord& job, const PartitionPlace& place,
                      const std::string& worker) {
  const auto found = cluster.workers.find(worker);
  if (found == cluster.workers.end() || cluster.IsLost(found->second)) return nullptr;
  for (const CopyReport& copy : found->second.lease.copies) {
    if (copy.uid == job.uid && copy.segment == place.segment.value() &&
        copy.partition == place.partition.value()) {
      return copy.offset;
    }
  }
  return nullptr;
}

ViewJson PartitionRow(const Cluster& cluster, const JobRecord& job, const PartitionPlace& place,
                      const PartitionLog& log, const std::optional<PartitionReport>& report, int64_t now_ms) {
  const JobAssignment* assigned = cluster.FindAssigned(job.uid);
  const size_t index = job.IndexOf(place.segment, place.partition);
  const std::string owner = assigned != nullptr ? NameAt(assigned->owners, index) : "";
  const std::string standby = assigned != nullptr ? NameAt(assigned->standbys, index) : "";
  const PartitionReport known = report.value_or(PartitionReport());
  const uint64_t offset = IsCompleted(cluster, job) ? log.end : known.offset;
  ViewJson row;
  row["segment"] = place.segment.value();
  row["partition"] = place.partition.value();
  row["owner"] = owner;
  row["epoch"] = known.epoch;
  row["offset"] = offset;
  row["end"] = log.end;
  const PartitionLag lag = LagOf(log, offset, known.records_in, now_ms);
  row["lag_records"] = lag.records;
  row["oldest_ms"] = lag.oldest_ms;
  row["committed_ms_ago"] =
      known.committed_at_ms > 0 ? ViewJson(AgeMs(now_ms, known.committed_at_ms)) : ViewJson(nullptr);
  row["committed_offset"] = known.committed_offset;
  row["checkpoint_offset"] = known.checkpoint_offset;
  row["code"] = report.has_value() ? ViewJson(known.code_version) : ViewJson(nullptr);
  row["standby"] = standby;
  row["standby_offset"] = CopiedOffset(cluster, job, place, standby);
  row["next_owner"] = assigned != nullptr ? NameAt(assigned->next_owners, index) : "";
  // Of a job that has ended nobody will say it any more; of one that runs it is what was not begun with yet.
  const bool is_unknown = !report.has_value() && cluster.FindFinal(job.uid) != nullptr;
  row["state_keys"] = is_unknown ? ViewJson(nullptr) : ViewJson(known.state_keys);
  row["state_bytes"] = is_unknown ? ViewJson(nullptr) : ViewJson(known.state_bytes);
  const auto said = OwnersReport(cluster, job, place.segment, place.partition);
  row["state"] = PartitionStateOf(cluster, job, owner, said ? said : report);
  row["reason"] = said ? said->reason : known.reason;
  row["records_in"] = known.records_in;
  row["records_out"] = known.records_out;
  row["dead_letters"] = known.dead_letters;
  row["retries"] = known.retries;
  row["skipped"] = known.skipped;
  row["inspected"] = CountsJson(known.inspected);
  return row;
}

// Null where one of them is.
ViewJson Sum(const ViewJson& rows, SegmentId segment, const char* column) {
  uint64_t sum = 0;
  for (const auto& row : rows) {
    if (row["segment"].get<uint32_t>() != segment.value()) continue;
    if (row[column].is_null()) return nullptr;
    sum += row[column].get<uint64_t>();
  }
  return sum;
}

// `partitions`: rows of the whole job.
ViewJson SegmentJson(SegmentId id, const ViewJson& partitions) {
  ViewJson segment;
  uint64_t count = 0, owned = 0;
  int64_t oldest_ms = 0;
  for (const auto& row : partitions) {
    if (row["segment"].get<uint32_t>() != id.value()) continue;
    ++count;
    if (!row["owner"].get_ref<const std::string&>().empty()) ++owned;
    oldest_ms = std::max(oldest_ms, row["oldest_ms"].get<int64_t>());
  }
  segment["segment"] = id.value();
  segment["partitions"] = count;
  segment["owned"] = owned;
  segment["lag_records"] = Sum(partitions, id, "lag_records");
  segment["oldest_ms"] = oldest_ms;
  segment["state_keys"] = Sum(partitions, id, "state_keys");
  segment["state_bytes"] = Sum(partitions, id, "state_bytes");
  return segment;
}

// Null for a job whose input ends.
ViewJson SourceJson(const Cluster& cluster, const JobRecord& job) {
  const auto found = cluster.sources.find(job.uid);
  if (found == cluster.sources.end()) return nullptr;
  const SourceFed& source = found->second;
  ViewJson json;
  json["stream"] = source.stream;
  json["position"] = source.position;
  json["records"] = source.records;
  json["rejected"] = source.rejected;
  json["lost"] = source.lost;
  json["trouble"] = source.trouble;
  return json;
}

// Null for a job whose results stay in their streams.
ViewJson SinkJson(const Cluster& cluster, const JobRecord& job) {
  const auto found = cluster.sinks.find(job.uid);
  if (found == cluster.sinks.end()) return nullptr;
  const SinkReport& report = found->second.report;
  ViewJson json;
  json["to"] = report.to;
  json["records"] = report.records;
  json["lag_records"] = SinkLag(cluster, job);
  json["done"] = found->second.done;
  json["trouble"] = report.trouble;
  return json;
}

// Null for a job whose input ends.
ViewJson AddedJson(const Cluster& cluster, const JobRecord& job) {
  if (!cluster.sources.contains(job.uid) && !cluster.added.contains(job.uid)) return nullptr;
  ViewJson rows = ViewJson::array();
  const auto added = cluster.added.find(job.uid);
  if (added == cluster.added.end()) return rows;
  for (const auto& [number, beside] : added->second) {
    ViewJson row;
    row["number"] = number;
    row["inputs"] = ViewJson::array();
    if (beside.input) {
      for (const InputFile& input : beside.input->inputs) row["inputs"].push_back(input.name);
    }
    row["records"] = beside.fed ? ViewJson(beside.fed->records) : ViewJson(nullptr);
    row["rejected"] = beside.fed ? ViewJson(beside.fed->rejected) : ViewJson(nullptr);
    row["added"] = TimeJson(beside.input ? beside.input->added_ms : 0);
    rows.push_back(std::move(row));
  }
  return rows;
}

// Empty: it goes on, or all is out.
std::string SinkTrouble(const Cluster& cluster, const JobRecord& job) {
  const auto sink = cluster.sinks.find(job.uid);
  if (sink == cluster.sinks.end() || sink->second.done || sink->second.report.trouble.empty()) return "";
  return StrCat("its results are not all out: ", sink->second.report.trouble);
}

size_t CountWithoutStandby(const JobRecord& job, const JobAssignment& assigned) {
  if (job.standbys == 0) return 0;
  size_t without = 0;
  for (size_t p = 0; p < assigned.owners.size(); ++p) without += NameAt(assigned.standbys, p).empty() ? 1 : 0;
  return without;
}

}  // namespace

uint64_t SinkLag(const Cluster& cluster, const JobRecord& job) {
  const auto sink = cluster.sinks.find(job.uid);
  if (sink == cluster.sinks.end() || sink->second.done) return 0;
  // Reports and records of different moments.
  const uint64_t put_out = TotalsOf(cluster, job).records_out;
  return put_out - std::min(put_out, sink->second.report.records);
}

JobState JobStateOf(const Cluster& cluster, const JobRecord& job) {
  if (const FinalStatus* final_status = cluster.FindFinal(job.uid)) {
    return {final_status->state,
            final_status->reason.empty() ? SinkTrouble(cluster, job) : final_status->reason};
  }
  const JobAssignment* assigned = cluster.FindAssigned(job.uid);
  if (const auto silent = cluster.Standstill()) {
    return {assigned != nullptr && assigned->paused ? "paused" : "running",
            StrCat("no coordinator or worker has renewed its lease for ",
                   millrace::FormatDuration(absl::Trunc(*silent, absl::Seconds(1))),
                   " — do they run, has NATS room left? — `coordinator doctor` looks")};
  }
  if (assigned != nullptr && assigned->paused) return {"paused", ""};
  const auto newest = NewestReports(cluster, job);
  std::string waits;
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      const auto owners = OwnersReport(cluster, job, SegmentId(s), PartitionId(p));
      const auto& report = owners ? owners : newest[job.IndexOf(SegmentId(s), PartitionId(p))];
      // One that is just being opened says nothing; one that cannot be says why.
      const bool stuck = report && (report->state == "stopped" || report->state == "failed" ||
                                    (report->state == "restoring" && !report->reason.empty()));
      if (stuck) {
        return {"running", StrCat("partition ", PartitionText(SegmentId(s), PartitionId(p)), " ",
                                  report->state, ": ", report->reason)};
      }
      if (waits.empty() && report && report->state == "running" && !report->reason.empty()) {
        waits = StrCat("partition ", PartitionText(SegmentId(s), PartitionId(p)), ": ", report->reason);
      }
    }
  }
  if (assigned == nullptr) return {"running", "waiting for a coordinator to assign it"};
  const auto unowned = std::count(assigned->owners.begin(), assigned->owners.end(), "");
  if (unowned > 0) return {"running", StrCat(unowned, " partitions wait for a worker")};
  if (!waits.empty()) return {"running", std::move(waits)};
  const auto source = cluster.sources.find(job.uid);
  if (source != cluster.sources.end() && !source->second.trouble.empty()) {
    return {"running", StrCat("its source ", source->second.stream, ": ", source->second.trouble)};
  }
  if (std::string trouble = SinkTrouble(cluster, job); !trouble.empty())
    return {"running", std::move(trouble)};
  if (const size_t without = CountWithoutStandby(job, *assigned); without > 0) {
    return {"running", StrCat(without,
                              " partitions have no standby — fewer than two workers that serve have "
                              "--checkpoints")};
  }
  return {"running", ""};
}

ViewJson JobsView(const Cluster& cluster) {
  ViewJson rows = ViewJson::array();
  for (const auto& [name, job] : cluster.jobs) {
    const JobState state = JobStateOf(cluster, job);
    const Totals totals = TotalsOf(cluster, job);
    const FinalStatus* final_status = cluster.FindFinal(job.uid);
    ViewJson row;
    row["job"] = name;
    row["uid"] = job.uid;
    row["state"] = state.state;
    row["reason"] = state.reason;
    row["partitions"] = job.all_partitions();
    row["records_in"] = totals.records_in;
    row["records_out"] = totals.records_out;
    row["dead_letters"] = totals.dead_letters;
    row["started"] = TimeJson(job.created_ms);
    row["ended"] = TimeJson(final_status != nullptr ? final_status->ended_ms : 0);
    rows.push_back(std::move(row));
  }
  return rows;
}

ViewJson StatusView(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>& logs,
                    int64_t now_ms) {
  const JobState state = JobStateOf(cluster, job);
  const Totals totals = TotalsOf(cluster, job);
  const FinalStatus* final_status = cluster.FindFinal(job.uid);
  const ViewJson partitions = PartitionsView(cluster, job, logs, now_ms);
  ViewJson segments = ViewJson::array();
  uint64_t lag_records = 0;
  int64_t oldest_ms = 0;
  for (uint32_t s = 0; s < job.segments(); ++s) {
    segments.push_back(SegmentJson(SegmentId(s), partitions));
    lag_records += segments.back()["lag_records"].get<uint64_t>();
    oldest_ms = std::max(oldest_ms, segments.back()["oldest_ms"].get<int64_t>());
  }
  ViewJson view;
  view["job"] = job.name;
  view["uid"] = job.uid;
  view["state"] = state.state;
  view["reason"] = state.reason;
  view["records_in"] = totals.records_in;
  view["records_out"] = totals.records_out;
  view["dead_letters"] = totals.dead_letters;
  view["skipped"] = totals.skipped;
  view["inspected"] = CountsJson(totals.inspected);
  view["code"] = cluster.CodeVersionOf(job.uid);
  view["lag_records"] = lag_records;
  view["oldest_ms"] = oldest_ms;
  view["started"] = TimeJson(job.created_ms);
  view["ended"] = TimeJson(final_status != nullptr ? final_status->ended_ms : 0);
  const auto fed = cluster.fed.find(job.uid);
  view["input_records"] = fed != cluster.fed.end() ? ViewJson(fed->second.records) : ViewJson(nullptr);
  view["input_rejected"] = fed != cluster.fed.end() ? ViewJson(fed->second.rejected) : ViewJson(nullptr);
  view["source"] = SourceJson(cluster, job);
  view["added"] = AddedJson(cluster, job);
  view["sink"] = SinkJson(cluster, job);
  view["segments"] = std::move(segments);
  return view;
}

ViewJson PartitionsView(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>& logs,
                        int64_t now_ms) {
  ViewJson rows = ViewJson::array();
  const auto reports = NewestReports(cluster, job);
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      const PartitionLog log = rows.size() < logs.size() ? logs[rows.size()] : PartitionLog();
      rows.push_back(
          PartitionRow(cluster, job, {SegmentId(s), PartitionId(p)}, log, reports[rows.size()], now_ms));
    }
  }
  return rows;
}

ViewJson WorkersView(const Cluster& cluster) {
  ViewJson rows = ViewJson::array();
  for (const auto& [name, worker] : cluster.workers) {
    const WorkerLease& lease = worker.lease;
    ViewJson row;
    row["name"] = name;
    row["incarnation"] = lease.incarnation;
    row["pid"] = lease.pid;
    row["host"] = lease.host;
    row["lanes"] = lease.lanes;
    row["partitions"] = lease.partitions.size();
    row["state"] = cluster.IsLost(worker) ? "lost" : lease.state;
    row["cpu"] = std::round(lease.cpu * 1000) / 1000;
    row["memory_bytes"] = lease.memory_bytes;
    row["lease_ms_left"] = cluster.LeaseMsLeft(worker);
    row["version"] = lease.version;
    row["http"] = lease.http;
    row["zone"] = lease.zone;
    row["step_version"] = lease.step_version;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace millrace
