#include "coordinator/scaling/load_meter.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace {
namespace {

constexpr double kMicrosASecond = 1e6;

// More workers would not help a partition that is done or does not go on, and it keeps no lane busy.
bool HasNoWork(std::string_view state) {
  constexpr std::array<std::string_view, 4> kStates = {"completed", "paused", "stopped", "failed"};
  return std::find(kStates.begin(), kStates.end(), state) != kStates.end();
}

void CountWorkers(const Cluster& cluster, ClusterLoad* load) {
  double lanes = 0;
  for (const auto& [name, worker] : cluster.workers) {
    const auto drain = cluster.drains.find(name);
    const bool drains = drain != cluster.drains.end() && drain->second.Drains(worker.lease.process);
    if (worker.lease.state != "ready" || cluster.IsLost(worker) || drains) continue;
    ++load->joined;
    lanes += worker.lease.lanes;
  }
  if (load->joined > 0) load->lanes = std::max(1.0, lanes / static_cast<double>(load->joined));
}

}  // namespace

ClusterLoad LoadMeter::Look(const Cluster& cluster, const JobLogs& logs, absl::Duration now) {
  ClusterLoad load;
  load.whole = true;
  CountWorkers(cluster, &load);
  std::erase_if(rows_, [&](const auto& row) { return cluster.FindAssigned(row.first) == nullptr; });
  for (const auto& [name, job] : cluster.jobs) {
    if (cluster.FindFinal(job.uid) != nullptr) continue;
    const JobAssignment* const assigned = cluster.FindAssigned(job.uid);
    if (assigned != nullptr && assigned->paused) continue;
    const auto known = logs.find(job.uid);
    AddJob(cluster, job, known == logs.end() ? nullptr : &known->second, now, &load);
  }
  ShareLongTurns(cluster, &load);
  return load;
}

// Owners count a turn when it is over, and say nothing before: in a turn that takes longer than rates are measured over, its
// lane seems to do nothing at all. Whose turn it is nobody tells, so those that it holds up share it.
void LoadMeter::ShareLongTurns(const Cluster& cluster, ClusterLoad* load) {
  std::map<std::string, double> held_up;  // partitions, by owner
  for (const JobLoad& job : load->jobs) {
    for (const PartitionLoad& partition : job.partitions)
      held_up[partition.owner] += partition.held_up ? 1 : 0;
  }
  for (JobLoad& job : load->jobs) {
    for (PartitionLoad& partition : job.partitions) {
      if (!partition.held_up) continue;
      const double lanes = std::max(1u, cluster.workers.at(partition.owner).lease.lanes);
      partition.busy = std::min(1.0, lanes / held_up[partition.owner]);
    }
  }
}

void LoadMeter::AddJob(const Cluster& cluster, const JobRecord& job, const std::vector<PartitionLog>* logs,
                       absl::Duration now, ClusterLoad* load) {
  JobLoad of_job{job.uid, {}};
  for (uint32_t s = 0; s < job.segments(); ++s) {
    for (uint32_t p = 0; p < job.partitions_of(SegmentId(s)); ++p) {
      const std::optional<PartitionReport> said = OwnersReport(cluster, job, SegmentId(s), PartitionId(p));
      if (said.has_value() && HasNoWork(said->state)) continue;
      ++load->partitions;
      std::optional<PartitionLoad> of;
      if (said.has_value() && said->state == "running" && logs != nullptr) {
        const size_t index = job.IndexOf(SegmentId(s), PartitionId(p));
        const WorkerSeen& owner = cluster.workers.at(cluster.FindAssigned(job.uid)->owners[index]);
        of = LoadOf(owner, *said, (*logs)[index], now, &rows_[job.uid][index]);
      }
      load->whole = load->whole && of.has_value();
      if (of.has_value()) of_job.partitions.push_back(*of);
    }
  }
  load->jobs.push_back(std::move(of_job));
}

// A log whose end was applied is not asked for its count of records: what was taken is all there is.
std::optional<PartitionLoad> LoadMeter::LoadOf(const WorkerSeen& owner, const PartitionReport& report,
                                               const PartitionLog& log, absl::Duration now, Row* row) {
  const bool caught_up = report.offset >= log.end;
  const bool by_messages = row->by_messages || (!caught_up && !log.records.has_value());
  if (row->epoch != report.epoch || row->by_messages != by_messages) {
    *row = Row{report.epoch, by_messages, Rates()};
  }
  const uint64_t taken = by_messages ? report.offset : report.records_in;
  const uint64_t end = by_messages ? log.end : log.records.value_or(0);
  const uint64_t arrived = caught_up ? taken : std::max(end, taken);
  Rates& rates = row->rates;
  const absl::Duration said_at = absl::Nanoseconds(owner.renewed_ns);
  rates.Note(said_at, "taken", taken);
  rates.Note(said_at, "busy", report.busy_us);
  rates.Note(now, "arrived", arrived);
  const auto taken_rate = rates.PerSecond("taken");
  const auto busy_rate = rates.PerSecond("busy");
  const auto arriving = rates.PerSecond("arrived");
  // An owner of an earlier version does not say how busy it is.
  if (!taken_rate || !busy_rate || !arriving || report.busy_us == 0) return std::nullopt;
  return PartitionLoad{owner.lease.name, std::min(1.0, *busy_rate / kMicrosASecond), *taken_rate,
                       *arriving,        static_cast<double>(arrived - taken),       *busy_rate <= 0};
}

}  // namespace millrace
