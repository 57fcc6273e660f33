#include "worker/membership/membership.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/cluster/numbered_key.h"
#include "common/job/job_parser.h"
#include "common/log.h"
#include "common/names.h"
#include "worker/runtime/process_usage.h"

namespace millrace {
namespace {

constexpr int kRenewalsALease = 3;
// Changes of partitions are told at once, but not more often than this.
constexpr absl::Duration kMinRenewalInterval = absl::Milliseconds(50);

// The decoded value of the greatest numbered key with this prefix.
template <typename Document>
std::optional<Document> Greatest(const KeyView& view, std::string_view prefix, int numbers,
                                 absl::StatusOr<Document> (*decode)(std::string_view)) {
  std::optional<NumberedKey> best;
  std::optional<Document> document;
  for (auto it = view.entries().lower_bound(prefix);
       it != view.entries().end() && it->first.starts_with(prefix); ++it) {
    const std::optional<NumberedKey> number = ParseNumberedKey(it->first, prefix, numbers);
    if (it->second.deleted || !number.has_value() || (best.has_value() && *number < *best)) continue;
    if (absl::StatusOr<Document> decoded = decode(it->second.value); decoded.ok()) {
      best = number;
      document = *std::move(decoded);
    }
  }
  return document;
}

}  // namespace

std::optional<Assignment> AssignmentInForce(const KeyView& assignments) {
  return Greatest<Assignment>(assignments, "assign.", 2, DecodeAssignment);
}

std::optional<Term> NewestTerm(const KeyView& assignments) {
  return Greatest<Term>(assignments, "term.", 1, DecodeTerm);
}

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
  lease_.state = "ready";
  BecomeNewIncarnation();
}

std::string Membership::NewIncarnation() {
  std::mt19937_64 random(options_.seed + 0x9e3779b97f4a7c15u * ++incarnations_);
  return absl::StrFormat("%016x", random());
}

void Membership::BecomeNewIncarnation() {
  lease_.incarnation = NewIncarnation();
  lease_.beat = 0;
  valid_until_ = absl::ZeroDuration();
  renew_at_ = absl::ZeroDuration();
  last_revision_ = 0;
}

void Membership::Handle(const BusEvent& event) {
  if (!assignments_.Handle(event)) jobs_.Handle(event);
}

absl::Duration Membership::lease_ttl() const {
  const std::optional<Term> term = NewestTerm(assignments_);
  return term.has_value() && term->lease_ttl_ms > 0 ? absl::Milliseconds(term->lease_ttl_ms)
                                                    : options_.default_lease_ttl;
}

absl::Status Membership::Step() {
  const uint64_t changes = board_.changes();
  const absl::Duration now = clock_.Monotonic();
  const bool news = changes != reported_changes_ && now >= renewed_at_ + kMinRenewalInterval;
  if (now < renew_at_ && !news) return absl::OkStatus();
  reported_changes_ = changes;
  return Renew();
}

absl::Status Membership::Renew() {
  const absl::Duration now = clock_.Monotonic();
  const absl::Duration ttl = lease_ttl();
  renewed_at_ = now;
  renew_at_ = now + ttl / kRenewalsALease;
  const std::string key = "w." + options_.name;
  if (last_revision_ > 0) {
    absl::StatusOr<KeyValue> held = bus_.GetKey(kWorkersBucket, key);
    if (held.ok() && held->revision > last_revision_) {
      absl::StatusOr<WorkerLease> other = DecodeWorkerLease(held->value);
      // This process's own earlier incarnation may be heard late, and is nobody else.
      const bool is_other = other.ok() && other->incarnation != lease_.incarnation &&
                            (other->pid != lease_.pid || other->host != lease_.host);
      if (is_other) {
        return absl::FailedPreconditionError(
            absl::StrFormat("another process (pid %d on %s) runs as worker %s — two workers cannot share a "
                            "name — start one of them with another --name",
                            other->pid, other->host, options_.name));
      }
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
  lease_.state = "stopped";
  lease_.partitions = board_.All();
  ++lease_.beat;
  if (absl::StatusOr<uint64_t> left = bus_.PutKey(kWorkersBucket, "w." + options_.name, Encode(lease_));
      !left.ok()) {
    LogWarning("could not say good-bye: the lease will run out", {{"why", left.status()}});
  }
}

const Membership::Segments& Membership::SegmentsByJob(const std::string& job, const std::string& uid) {
  static const Segments& unknown = *new Segments();
  if (const auto it = segments_.find(uid); it != segments_.end()) return it->second;
  const KeyValue* entry = jobs_.Find("job." + job);
  if (entry == nullptr || entry->deleted) return unknown;
  absl::StatusOr<JobRecord> record = DecodeJobRecord(entry->value);
  if (!record.ok() || record->uid != uid) return unknown;
  absl::StatusOr<JobSpec> spec = ParseJob(job, record->spec_text);
  Segments& segments = segments_[uid];
  if (!spec.ok()) {
    LogError("this worker cannot run a job", {{"job", job}, {"why", spec.status()}});
    return segments;
  }
  spec->name = record->name;
  spec->partitions = record->partitions;
  for (SegmentSpec& segment : SegmentsOf(*spec))
    segments.push_back(std::make_shared<const SegmentSpec>(std::move(segment)));
  return segments;
}

DesiredPartitions Membership::Desired() {
  DesiredPartitions desired;
  const std::optional<Assignment> assignment = AssignmentInForce(assignments_);
  if (!assignment.has_value()) return desired;
  for (const JobAssignment& job : assignment->jobs) {
    size_t at = 0;  // in the owners, which stand segment after segment
    for (const std::shared_ptr<const SegmentSpec>& segment : SegmentsByJob(job.job, job.uid)) {
      for (uint32_t p = 0; p < segment->job.partitions && at < job.owners.size(); ++p, ++at) {
        if (job.owners[at] != options_.name) continue;
        desired[{job.job, job.uid, segment->id, PartitionId(p)}] = {segment, job.paused};
      }
    }
  }
  return desired;
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
    if (entry.deleted) continue;
    absl::StatusOr<JobRecord> record = DecodeJobRecord(entry.value);
    if (!record.ok() || record->uid == uid) return true;
  }
  return false;
}

}  // namespace millrace
