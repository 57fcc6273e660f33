#include "coordinator/views/cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/cluster/in_force.h"
#include "common/cluster/key_view.h"
#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr int64_t kDefaultLeaseTtlMs = 15'000;
constexpr int64_t kStandstillLeases =
    3;  // more than one lease: the reader's clock may differ from the broker's
constexpr int64_t kNsPerMs = 1'000'000;

void DecodeLease(const KeyValue& entry, Cluster* cluster) {
  cluster->newest_lease_ns = std::max(cluster->newest_lease_ns, entry.time_ns);
  if (entry.deleted) return;
  if (entry.key.starts_with(kWorkerPrefix)) {
    if (auto lease = DecodeWorkerLease(entry.value); lease.ok()) {
      const std::string name = lease->name;
      cluster->workers[name] = {*std::move(lease), entry.time_ns};
    }
  }
}

// Of the job's own input, or of one beside it.
void PutFed(const std::vector<std::string>& key, InputFed fed, Cluster* cluster) {
  if (key.size() == 2) {
    cluster->fed[key[1]] = fed;
    return;
  }
  std::string_view writer = key[2];
  uint32_t number = 0;
  if (absl::SimpleAtoi(ToAbsl(writer.substr(writer.find('-') + 1)), &number) &&
      writer == AddedWriter(number)) {
    cluster->added[key[1]][number].fed = fed;
  }
}

void DecodeAssignmentKey(const KeyValue& entry, Cluster* cluster) {
  if (entry.deleted) return;
  const std::vector<std::string> parts = absl::StrSplit(entry.key, absl::MaxSplits('.', 2));
  if (parts.size() < 2) return;
  if (parts[0] == "final") {
    if (auto final_status = DecodeFinalStatus(entry.value); final_status.ok()) {
      cluster->finals[parts[1]] = *std::move(final_status);
    }
  } else if (parts[0] == "fed") {
    if (auto fed = DecodeInputFed(entry.value); fed.ok()) PutFed(parts, *std::move(fed), cluster);
  } else if (parts[0] == "added" && parts.size() == 3) {
    uint32_t number = 0;
    auto input = DecodeInputAdded(entry.value);
    if (input.ok() && absl::SimpleAtoi(parts[2], &number)) {
      cluster->added[parts[1]][number].input = *std::move(input);
    }
  } else if (parts[0] == "source") {
    if (auto source = DecodeSourceFed(entry.value); source.ok()) {
      cluster->sources[parts[1]] = *std::move(source);
    }
  } else if (parts[0] == "sink") {
    const bool done = parts.size() == 3 && parts[2] == "done";
    if (parts.size() == 3 && !done) return;  // its position
    auto report = DecodeSinkReport(entry.value);
    SinkSeen& seen = cluster->sinks[parts[1]];
    // What was said last before the end may be older than that.
    if (report.ok() && (done || !seen.done)) seen.report = *std::move(report);
    seen.done = seen.done || done;
  } else if (parts[0] == "cmd" && parts.size() == 3) {
    uint64_t number = 0;
    if (absl::SimpleAtoi(parts[2], &number)) cluster->commands[parts[1]].Add(number, entry);
  }
}

void DecodeJobKey(const KeyValue& entry, Cluster* cluster) {
  if (entry.deleted) return;
  if (entry.key.starts_with(kJobPrefix)) {
    if (auto job = DecodeJobRecord(entry.value); job.ok()) {
      const std::string name = job->name;
      cluster->jobs[name] = *std::move(job);
    }
  } else if (entry.key.starts_with(kCodePrefix)) {
    const std::vector<std::string> parts = absl::StrSplit(entry.key, '.');
    uint64_t version = 0;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[2], &version)) return;
    uint64_t& newest = cluster->code_versions[parts[1]];
    newest = std::max(newest, version);
  }
}

absl::StatusOr<BucketEntries> ReadBucketOrEmpty(Bus& bus, const std::string& bucket) {
  auto entries = ReadBucket(bus, bucket);
  if (absl::IsNotFound(entries.status())) return BucketEntries();
  return entries;
}

}  // namespace

const JobRecord* Cluster::FindJob(std::string_view name) const {
  const auto found = jobs.find(std::string(name));
  return found == jobs.end() ? nullptr : &found->second;
}

const FinalStatus* Cluster::FindFinal(const std::string& uid) const {
  const auto found = finals.find(uid);
  return found == finals.end() ? nullptr : &found->second;
}

uint64_t Cluster::CodeVersionOf(const std::string& uid) const {
  const auto found = code_versions.find(uid);
  return found == code_versions.end() ? 0 : found->second;
}

const JobAssignment* Cluster::FindAssigned(const std::string& uid) const {
  if (!assignment) return nullptr;
  const auto found = std::find_if(assignment->jobs.begin(), assignment->jobs.end(),
                                  [&](const JobAssignment& job) { return job.uid == uid; });
  return found == assignment->jobs.end() ? nullptr : &*found;
}

int64_t Cluster::lease_ttl_ms() const {
  return term && term->lease_ttl_ms > 0 ? term->lease_ttl_ms : kDefaultLeaseTtlMs;
}

int64_t Cluster::LeaseMsLeft(const WorkerSeen& worker) const {
  const int64_t age_ms = (newest_lease_ns - worker.renewed_ns) / kNsPerMs;
  return std::max<int64_t>(0, lease_ttl_ms() - age_ms);
}

std::optional<absl::Duration> Cluster::Standstill() const {
  if (read_at_ms == 0 || newest_lease_ns == 0) return std::nullopt;
  const int64_t silent_ms = read_at_ms - newest_lease_ns / kNsPerMs;
  if (silent_ms < kStandstillLeases * lease_ttl_ms()) return std::nullopt;
  return absl::Milliseconds(silent_ms);
}

bool Cluster::IsLost(const WorkerSeen& worker) const {
  return worker.lease.state != "stopped" && LeaseMsLeft(worker) == 0;
}

Cluster DecodeCluster(const BucketEntries& jobs, const BucketEntries& workers,
                      const BucketEntries& assignments) {
  Cluster cluster;
  for (const auto& [key, entry] : jobs) DecodeJobKey(entry, &cluster);
  for (const auto& [key, entry] : workers) DecodeLease(entry, &cluster);
  for (const auto& [key, entry] : assignments) DecodeAssignmentKey(entry, &cluster);
  cluster.drains = DrainCommands(assignments);
  if (auto term = NewestTerm(assignments)) cluster.term = std::move(term->document);
  if (auto in_force = AssignmentInForce(assignments)) cluster.assignment = std::move(in_force->document);
  return cluster;
}

absl::StatusOr<Cluster> ReadCluster(Bus& bus) {
  const auto jobs = ReadBucketOrEmpty(bus, kJobsBucket);
  if (!jobs.ok()) return jobs.status();
  const auto workers = ReadBucketOrEmpty(bus, kWorkersBucket);
  if (!workers.ok()) return workers.status();
  const auto assignments = ReadBucketOrEmpty(bus, kAssignmentsBucket);
  if (!assignments.ok()) return assignments.status();
  Cluster cluster = DecodeCluster(*jobs, *workers, *assignments);
  cluster.read_at_ms = absl::ToUnixMillis(absl::Now());
  return cluster;
}

absl::StatusOr<WorkerSeen> RequireWorker(const Cluster& cluster, std::string_view name) {
  const auto found = cluster.workers.find(std::string(name));
  if (found != cluster.workers.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [worker_name, worker] : cluster.workers) names.push_back(worker_name);
  const std::string near = NearMiss(name, names);
  return absl::NotFoundError(
      StrCat("no worker `", name, "` — ",
             near.empty() ? "none of that name has joined" : StrCat("did you mean `", near, "`?"),
             " — try `coordinator workers`"));
}

absl::StatusOr<JobRecord> RequireJob(const Cluster& cluster, std::string_view name) {
  if (const JobRecord* job = cluster.FindJob(name)) return *job;
  std::vector<std::string> names;
  for (const auto& [job_name, record] : cluster.jobs) names.push_back(job_name);
  const std::string near = NearMiss(name, names);
  return absl::NotFoundError(
      StrCat("no job `", name, "` — ",
             near.empty() ? "nothing of that name was submitted here" : StrCat("did you mean `", near, "`?"),
             " — try `coordinator jobs`"));
}

}  // namespace millrace
