#include "worker/membership/membership.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/cluster/in_force.h"
#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "worker/runtime/process_usage.h"

namespace millrace {
namespace {

constexpr int kRenewalsALease = 3;
constexpr absl::Duration kNameLookInterval = absl::Milliseconds(500);  // while another may hold the name
constexpr char kReady[] = "ready";
constexpr char kDraining[] = "draining";
constexpr char kStopped[] = "stopped";
// Changes of partitions are told at once, but not more often than this.
constexpr absl::Duration kMinRenewalInterval = absl::Milliseconds(50);

}  // namespace

Membership::Membership(Bus& bus, Clock& clock, const ReportBoard& board, const Options& options)
    : bus_(bus),
      clock_(clock),
      board_(board),
      options_(options),
      assignments_(bus, kAssignmentsBucket),
      jobs_(bus, kJobsBucket) {
  lease_.name = options.name;
  lease_.host = options.host;
  lease_.pid = options.pid;
  lease_.lanes = options.lanes;
  lease_.version = options.version;
  lease_.http = options.http;
  lease_.data_id = options.data_id;
  lease_.zone = options.zone;
  lease_.step_version = options.step_version;
  lease_.checkpoints = options.checkpoints;
  lease_.state = kReady;
  BecomeNewIncarnation();
  lease_.process = lease_.incarnation;
}

std::string Membership::NewIncarnation() {
  // Far apart, as splitmix64 does it: seeds that are close give each worker's incarnations names of their own.
  constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15u;
  std::mt19937_64 random(options_.seed + kGoldenRatio * ++incarnations_);
  return absl::StrFormat("%016x", random());
}

void Membership::BecomeNewIncarnation() {
  lease_.incarnation = NewIncarnation();
  lease_.beat = 0;
  valid_until_ = absl::ZeroDuration();
  renew_at_ = absl::ZeroDuration();
  last_revision_ = 0;
  rival_revision_ = 0;
}

void Membership::Handle(const BusEvent& event) {
  if (!assignments_.Handle(event)) jobs_.Handle(event);
}

absl::Duration Membership::lease_ttl() const {
  const auto newest = NewestTerm(assignments_.entries());
  return newest.has_value() && newest->document.lease_ttl_ms > 0
             ? absl::Milliseconds(newest->document.lease_ttl_ms)
             : options_.default_lease_ttl;
}

// What the leader has made of the commands to this worker stands in the assignment in force.
void Membership::LookForDrain() {
  if (leaving_ || assignments_.revision() == drain_looked_for_ || !KnowsDesired()) return;
  drain_looked_for_ = assignments_.revision();
  const auto in_force = AssignmentInForce(assignments_.entries());
  if (!in_force.has_value() || !in_force->trouble.ok()) return;
  const std::vector<std::string>& draining = in_force->document.draining;
  const bool drains = std::count(draining.begin(), draining.end(), options_.name) > 0;
  const char* const state = drains ? kDraining : kReady;
  if (lease_.state == state) return;
  LogInfo(drains ? "told to drain: this worker stays empty until it is undone" : "told to serve again",
          {{"worker", options_.name}});
  lease_.state = state;
  renew_at_ = clock_.Monotonic();
}

void Membership::BeginLeaving() {
  leaving_ = true;
  lease_.state = kDraining;
  renew_at_ = clock_.Monotonic();
}

void Membership::SetCopies(std::vector<CopyReport> copies, uint64_t changes) {
  lease_.copies = std::move(copies);
  copy_changes_ = changes;
}

absl::Status Membership::Step() {
  LookForDrain();
  const uint64_t changes = board_.changes() + copy_changes_;
  const absl::Duration now = clock_.Monotonic();
  const bool news = changes != reported_changes_ && now >= renewed_at_ + kMinRenewalInterval;
  if (now < renew_at_ && !news) return absl::OkStatus();
  reported_changes_ = changes;
  return Renew();
}

// Whatever stands at the key from now on is not ours to change.
absl::Status Membership::NameIsTaken(const WorkerLease& by) {
  last_revision_ = 0;
  return absl::FailedPreconditionError(
      absl::StrFormat("another process (pid %d on %s) runs as worker %s — two workers cannot share a name — "
                      "start one of them with another --name",
                      by.pid, by.host, options_.name));
}

// Who holds the lock of the same data folder has outlived the lease's holder, and need not wait for its end.
absl::StatusOr<bool> Membership::MayTakeName() {
  const absl::StatusOr<KeyValue> held = bus_.GetKey(kWorkersBucket, WorkerKey(options_.name));
  if (absl::IsNotFound(held.status())) return true;
  if (!held.ok()) return false;
  const absl::StatusOr<WorkerLease> other = DecodeWorkerLease(held->value);
  if (!other.ok() || other->state == kStopped || other->data_id == lease_.data_id) return true;
  const absl::Duration now = clock_.Monotonic();
  if (rival_revision_ == 0) {
    rival_revision_ = held->revision;
    rival_seen_at_ = now;
    LogWarning("another data folder's worker had this name: waiting for its lease to run out",
               {{"worker", options_.name}, {"pid", other->pid}, {"host", other->host}});
  }
  if (held->revision != rival_revision_) return NameIsTaken(*other);
  return now - rival_seen_at_ > lease_ttl();
}

absl::Status Membership::Renew() {
  const absl::Duration now = clock_.Monotonic();
  const absl::Duration ttl = lease_ttl();
  renewed_at_ = now;
  renew_at_ = now + ttl / kRenewalsALease;
  const std::string key = WorkerKey(options_.name);
  if (last_revision_ == 0) {
    const absl::StatusOr<bool> free = MayTakeName();
    if (!free.ok()) return free.status();
    if (!*free) {
      renew_at_ = now + std::min(kNameLookInterval, ttl / kRenewalsALease);
      return absl::OkStatus();
    }
  } else {
    absl::StatusOr<KeyValue> held = bus_.GetKey(kWorkersBucket, key);
    if (held.ok() && held->revision > last_revision_) {
      absl::StatusOr<WorkerLease> other = DecodeWorkerLease(held->value);
      // This process's own earlier incarnation may be heard late, and is nobody else.
      const bool is_other = other.ok() && other->incarnation != lease_.incarnation &&
                            (other->pid != lease_.pid || other->host != lease_.host);
      if (is_other) return NameIsTaken(*other);
    }
  }
  const ProcessUsage usage = ReadProcessUsage();
  const double elapsed_seconds = absl::ToDoubleSeconds(now - cpu_at_);
  if (cpu_at_ > absl::ZeroDuration() && elapsed_seconds > 0)
    lease_.cpu = (usage.cpu_seconds - cpu_seconds_) / elapsed_seconds;
  cpu_seconds_ = usage.cpu_seconds;
  cpu_at_ = now;
  lease_.memory_bytes = usage.resident_bytes;
  lease_.partitions = board_.All();
  ++lease_.beat;
  absl::StatusOr<uint64_t> revision = bus_.PutKey(kWorkersBucket, key, Encode(lease_));
  if (!revision.ok()) {
    LogWarning("the lease could not be renewed", {{"why", revision.status()}});
    renew_at_ = clock_.Monotonic() + ttl / (4 * kRenewalsALease);
    return absl::OkStatus();
  }
  last_revision_ = *revision;
  // Reckoned from before the request left; a renewal that took longer than the lease is worth nothing.
  valid_until_ = now + ttl;
  return absl::OkStatus();
}

void Membership::Leave() {
  if (last_revision_ == 0) return;
  lease_.state = kStopped;
  lease_.partitions = board_.All();
  ++lease_.beat;
  if (absl::StatusOr<uint64_t> left = bus_.PutKey(kWorkersBucket, WorkerKey(options_.name), Encode(lease_));
      !left.ok()) {
    LogWarning("could not say good-bye: the lease will run out", {{"why", left.status()}});
  }
}

const Membership::Runnable* Membership::RunnableOf(const std::string& job, const std::string& uid) {
  auto it = runnable_.find(uid);
  if (it == runnable_.end() || it->second.partitions.empty()) {
    absl::StatusOr<Runnable> read = ReadJob(job, uid);
    if (!read.ok()) return nullptr;
    it = runnable_.insert_or_assign(uid, *std::move(read)).first;
  }
  ReadUpdates(it->second);
  return &it->second;
}

// NOT_FOUND: there is no record of this uid. One that cannot be read gives a job without partitions, which is
// read again: one that can may follow.
absl::StatusOr<Membership::Runnable> Membership::ReadJob(const std::string& job,
                                                         const std::string& uid) const {
  const KeyValue* const entry = jobs_.Find(JobKey(job));
  if (entry == nullptr || entry->deleted) return absl::NotFoundError(job);
  Runnable runnable;
  absl::StatusOr<JobRecord> record = DecodeJobRecord(entry->value);
  if (!record.ok()) {
    runnable.segments = record.status();
    return runnable;
  }
  if (record->uid != uid) return absl::NotFoundError(job);
  for (uint32_t s = 0; s < record->segments(); ++s) {
    runnable.partitions.push_back(record->partitions_of(SegmentId(s)));
  }
  runnable.record = *std::move(record);
  const absl::StatusOr<JobSpec> spec =
      ParseCode(runnable.record, FirstVersion(runnable.record), options_.step_version);
  if (!spec.ok()) {
    runnable.segments = spec.status();
    return runnable;
  }
  for (const SegmentSpec& segment : SegmentsOf(*spec)) {
    runnable.segments->push_back({std::make_shared<const SegmentSpec>(segment)});
  }
  return runnable;
}

// One that this worker cannot run makes the whole job one that it cannot run: it would come to the mark.
void Membership::ReadUpdates(Runnable& runnable) const {
  while (runnable.segments.ok()) {
    const uint64_t version = runnable.known_versions + 1;
    const KeyValue* const entry = jobs_.Find(CodeKey(runnable.record.uid, version));
    if (entry == nullptr || entry->deleted) return;
    const absl::StatusOr<CodeVersion> code = DecodeCodeVersion(entry->value);
    absl::StatusOr<JobSpec> spec = code.ok() ? ParseCode(runnable.record, *code, options_.step_version)
                                             : absl::StatusOr<JobSpec>(code.status());
    if (spec.ok() && LastSegment(*spec).value() + 1 != runnable.segments->size()) {
      spec = absl::DataLossError("it has another number of segments");
    }
    if (!spec.ok()) {
      runnable.segments =
          absl::Status(spec.status().code(),
                       StrCat("version ", version, " of the job's code: ", ToStd(spec.status().message())));
      return;
    }
    for (SegmentSpec& segment : SegmentsOf(*spec)) {
      auto& versions = (*runnable.segments)[segment.id.value()];
      versions.push_back(std::make_shared<const SegmentSpec>(std::move(segment)));
    }
    runnable.known_versions = version;
  }
}

void Membership::ForEachAssigned(const Visit& visit) {
  const auto in_force = AssignmentInForce(assignments_.entries());
  if (!in_force.has_value()) return;
  if (!in_force->trouble.ok()) {
    LogError("the assignment in force cannot be read: this worker owns nothing until the next one",
             {{"why", in_force->trouble}});
  }
  std::set<std::string> assigned;
  for (const JobAssignment& job : in_force->document.jobs) {
    assigned.insert(job.uid);
    const Runnable* const runnable = RunnableOf(job.job, job.uid);
    if (runnable == nullptr) continue;
    uint32_t segment = 0;  // owners stand segment after segment
    uint32_t partition = 0;
    for (size_t index = 0; index < job.owners.size(); ++index, ++partition) {
      while (segment < runnable->partitions.size() && partition >= runnable->partitions[segment]) {
        ++segment, partition = 0;
      }
      visit({job.job, job.uid, SegmentId(segment), PartitionId(partition)}, job, index, *runnable);
    }
  }
  std::erase_if(runnable_, [&](const auto& entry) { return !assigned.contains(entry.first); });
}

DesiredPartitions Membership::Desired() {
  DesiredPartitions desired;
  ForEachAssigned([&](const PartitionKey& key, const JobAssignment& job, size_t index,
                      const Runnable& runnable) {
    if (job.owners[index] != options_.name) return;
    const bool moves = index < job.next_owners.size() && !job.next_owners[index].empty();
    desired.insert_or_assign(key, DesiredPartition{runnable.Segment(key.segment.value()), job.paused, moves});
  });
  return desired;
}

WantedCopies Membership::DesiredCopies() {
  WantedCopies wanted;
  ForEachAssigned([&](const PartitionKey& key, const JobAssignment& job, size_t index, const Runnable&) {
    const auto names_us = [&](const std::vector<std::string>& names) {
      return index < names.size() && names[index] == options_.name;
    };
    if (names_us(job.standbys)) wanted[key] = CopyUrgency::kStandby;
    if (names_us(job.next_owners)) wanted[key] = CopyUrgency::kAwaited;
  });
  return wanted;
}

bool Membership::KnowsDesired() {
  const auto is_whole = [this](const KeyView& view, CatchUp& progress) {
    const absl::StatusOr<bool> whole = progress.IsWhole(bus_, view);
    return whole.ok() && *whole;
  };
  return is_whole(assignments_, assignments_read_) && is_whole(jobs_, jobs_read_);
}

bool Membership::JobMayExist(const std::string& uid) {
  if (const absl::StatusOr<bool> whole = jobs_read_.IsWhole(bus_, jobs_); !whole.ok() || !*whole) return true;
  for (const auto& [key, entry] : jobs_.entries()) {
    if (entry.deleted || key.starts_with(kCodePrefix)) continue;
    absl::StatusOr<JobRecord> record = DecodeJobRecord(entry.value);
    if (!record.ok() || record->uid == uid) return true;
  }
  return false;
}

}  // namespace millrace
