#include "coordinator/leader/worker_table.h"

#include "absl/strings/match.h"
#include "common/log.h"
#include "common/names.h"

namespace millrace {

void WorkerTable::Observe(const Entries& workers, absl::Duration now) {
  std::erase_if(rows_, [&](const auto& row) { return FindEntry(workers, WorkerKey(row.first)) == nullptr; });
  for (auto it = workers.lower_bound(kWorkerPrefix);
       it != workers.end() && absl::StartsWith(it->first, kWorkerPrefix); ++it) {
    const std::string name = it->first.substr(sizeof(kWorkerPrefix) - 1);
    if (it->second.deleted) continue;
    Row& row = rows_[name];
    if (row.revision == it->second.revision) continue;
    row.revision = it->second.revision;
    row.seen_at = now;
    absl::StatusOr<WorkerLease> lease = DecodeWorkerLease(it->second.value);
    if (!lease.ok()) {
      LogWarning("a worker's lease cannot be read; it is given nothing",
                 {{"worker", name}, {"error", ToStd(lease.status().message())}});
      row.lease = WorkerLease{};
      row.lease.state = "stopped";
    } else {
      row.lease = *std::move(lease);
    }
    row.lease.name = name;
  }
}

void WorkerTable::ExcuseAll(absl::Duration now) {
  for (auto& [name, row] : rows_) row.seen_at = now;
}

bool WorkerTable::IsLive(const Row& row, absl::Duration now, absl::Duration lease_ttl) {
  return row.lease.state != "stopped" && now - row.seen_at < lease_ttl;
}

std::vector<PlanWorker> WorkerTable::Alive(absl::Duration now, absl::Duration lease_ttl) const {
  std::vector<PlanWorker> workers;
  for (const auto& [name, row] : rows_) {
    if (!IsLive(row, now, lease_ttl)) continue;
    workers.push_back(
        {name, row.lease.zone, row.lease.state != "ready", row.lease.step_version, row.lease.checkpoints});
  }
  return workers;
}

const WorkerLease* WorkerTable::Live(const std::string& name, absl::Duration now,
                                     absl::Duration lease_ttl) const {
  const auto found = rows_.find(name);
  return found != rows_.end() && IsLive(found->second, now, lease_ttl) ? &found->second.lease : nullptr;
}

WorkerTable::Counts WorkerTable::Count(absl::Duration now, absl::Duration lease_ttl) const {
  Counts counts;
  for (const auto& [name, row] : rows_) {
    if (row.lease.state == "stopped") {
      ++counts.stopped;
    } else if (!IsLive(row, now, lease_ttl)) {
      ++counts.lost;
    } else if (row.lease.state == "draining") {
      ++counts.draining;
    } else {
      ++counts.ready;
    }
  }
  return counts;
}

}  // namespace millrace
