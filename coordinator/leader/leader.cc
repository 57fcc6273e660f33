#include "coordinator/leader/leader.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/names.h"
#include "coordinator/leader/drain_commands.h"
#include "coordinator/leader/engine_versions.h"

namespace millrace {
namespace {

// A leader, and a cluster whose first worker has come, wait so long for more workers before they plan: those
// that start together then share at once, and nothing moves a moment later.
constexpr absl::Duration kMostCollecting = absl::Seconds(1);
constexpr int kCollectingPerLease = 3;
// Who looked away for longer than this part of a lease has missed beats, and judges nobody by them.
constexpr int kBlindPerLease = 2;

uint32_t NeededEngine(const std::vector<PlanJob>& jobs) {
  uint32_t needed = 1;
  for (const PlanJob& job : jobs) needed = std::max(needed, job.step_version);
  return needed;
}

}  // namespace

Leader::Leader(Leadership::Options options, Bus& bus, Clock& clock)
    : bus_(bus),
      clock_(clock),
      collect_for_(std::min(options.lease_ttl / kCollectingPerLease, kMostCollecting)),
      view_(bus),
      leadership_(std::move(options), bus, clock),
      assignments_(bus) {}

void Leader::HandleEvent(const BusEvent& event) {
  if (event.type == BusEvent::Type::kDisconnected) connected_ = false;
  if (event.type == BusEvent::Type::kReconnected) {
    connected_ = true;
    stepped_at_.reset();
  }
  view_.Handle(event);
}

WorkerTable::Counts Leader::CountWorkers() const {
  return workers_.Count(clock_.Monotonic(), leadership_.lease_ttl());
}

std::vector<OpenJob> Leader::JobsInCharge() const {
  if (!Reigns()) return {};
  return jobs_.Open(view_.assignments().entries());
}

std::vector<const JobRecord*> Leader::JobsToBringOut() const {
  if (!Reigns()) return {};
  return jobs_.WithoutSinkDone(view_.assignments().entries());
}

bool Leader::Reigns() const {
  return leadership_.Leads() && reign_.term == leadership_.term() && reign_.wrote_assignment;
}

void Leader::Step() {
  if (!connected_) return;  // whatever is asked of the bus now would only block
  Observe();
  leadership_.Step(view_.workers().entries(), view_.assignments().entries());
  if (!leadership_.Leads()) return;
  if (reign_.term != leadership_.term()) BeginReign();
  if (!HasReadEverything()) return;

  const Owners owners = OwnersOf(assignments_.in_force().jobs);
  Jobs jobs;
  for (const OpenJob& job : jobs_.Open(view_.assignments().entries())) {
    JobFacts facts = FactsOf(job, owners);
    Measure(job.record->uid, facts);
    JobDecision decision = Next(facts);
    if (decision.final.has_value() && EndJob(*job.record, *std::move(decision.final))) continue;
    const JobRecord& record = *job.record;
    jobs.running.push_back(
        {record.name, record.uid, decision.paused, std::vector<std::string>(record.all_partitions())});
    jobs.to_plan.push_back(
        {record.uid, record.partitions, record.later_partitions, {}, job.step_version, record.standbys});
    jobs.facts.push_back(std::move(facts));
  }
  Assign(std::move(jobs));
}

void Leader::Observe() {
  const absl::Duration now = clock_.Monotonic();
  workers_.Observe(view_.workers().entries(), now);
  jobs_.Observe(view_.jobs().entries());
  assignments_.Observe(view_.assignments().entries());
  if (!stepped_at_.has_value() || now - *stepped_at_ > leadership_.lease_ttl() / kBlindPerLease) {
    workers_.ExcuseAll(now);
    leadership_.Excuse();
  }
  stepped_at_ = now;
}

void Leader::BeginReign() {
  reign_ = Reign{};
  reign_.term = leadership_.term();
  reign_.plan_not_before = clock_.Monotonic() + collect_for_;
}

bool Leader::HasReadEverything() {
  const auto has_read = [this](const KeyView& view, CatchUp& progress) {
    const absl::StatusOr<bool> whole = progress.IsWhole(bus_, view);
    return whole.ok() && *whole;
  };
  return has_read(view_.jobs(), reign_.jobs) && has_read(view_.workers(), reign_.workers) &&
         has_read(view_.assignments(), reign_.assignments);
}

// What counts of a partition is what its owner says while it is alive; anybody else may be a memory.
JobFacts Leader::FactsOf(const OpenJob& job, const Owners& owners) const {
  JobFacts facts{job.verbs, std::vector<const PartitionReport*>(job.record->all_partitions(), nullptr),
                 job.record->last_segment()};
  const auto owned = owners.find(job.record->uid);
  if (owned == owners.end()) return facts;
  const absl::Duration now = clock_.Monotonic();
  for (const std::string& name : std::set<std::string>(owned->second.begin(), owned->second.end())) {
    const WorkerLease* lease = workers_.Live(name, now, leadership_.lease_ttl());
    if (lease == nullptr) continue;
    for (const PartitionReport& report : lease->partitions) {
      if (report.uid != job.record->uid || report.segment >= job.record->segments()) continue;
      const size_t at = job.record->IndexOf(SegmentId(report.segment), PartitionId(report.partition));
      const bool is_owner = at < owned->second.size() && owned->second[at] == name;
      if (is_owner && at < facts.reports.size()) facts.reports[at] = &report;
    }
  }
  return facts;
}

void Leader::Measure(const std::string& uid, const JobFacts& facts) {
  const absl::Duration now = clock_.Monotonic();
  for (size_t p = 0; p < facts.reports.size(); ++p) {
    if (facts.reports[p] == nullptr) continue;
    loads_.Observe(uid, p, facts.reports[p]->records_in, now);
    moves_.Observe(uid, p, *facts.reports[p]);
  }
}

// True when the job has ended, this way or another.
bool Leader::EndJob(const JobRecord& record, FinalStatus final) {
  final.term = reign_.term;
  final.ended_ms = absl::ToUnixMillis(clock_.Now());
  MILLRACE_FAILPOINT("leader_before_final");
  const auto made = bus_.CreateKey(kAssignmentsBucket, FinalKey(record.uid), Encode(final));
  if (made.ok()) {
    ++totals_.finals;
    LogInfo("job ended", {{"job", record.name}, {"state", final.state}, {"reason", final.reason}});
    return true;
  }
  if (absl::IsAlreadyExists(made.status())) return true;
  LogWarning("how a job ended could not be written; it is tried again",
             {{"job", record.name}, {"error", ToStd(made.status().message())}});
  return false;
}

// A new leader learns from the assignments that are kept who had what.
void Leader::RememberOwners(const std::vector<JobAssignment>& running) {
  if (!reign_.knows_owners) {
    owners_ = OwnerHistory();
    for (const Assignment& kept : AssignmentLog::Kept(view_.assignments().entries())) {
      owners_.Observe(kept.jobs);
    }
    reign_.knows_owners = true;
  }
  owners_.Observe(assignments_.in_force().jobs);
  owners_.Keep(running);
}

bool Leader::MayPlan(bool workers_ready) {
  if (workers_ready && !reign_.had_workers) {
    reign_.plan_not_before = std::max(reign_.plan_not_before, clock_.Monotonic() + collect_for_);
  }
  reign_.had_workers = workers_ready;
  return clock_.Monotonic() >= reign_.plan_not_before;
}

// In order of name.
std::vector<std::string> Leader::Draining() const {
  return DrainedWorkers(view_.assignments().entries(), [this](const std::string& name) -> std::string {
    const WorkerLease* lease = workers_.Live(name, clock_.Monotonic(), leadership_.lease_ttl());
    return lease == nullptr ? "" : lease->process;
  });
}

void Leader::AddLoads(std::vector<PlanJob>* jobs, const std::vector<JobAssignment>& running) {
  std::vector<std::string> uids;
  for (size_t j = 0; j < running.size(); ++j) {
    (*jobs)[j].loads = loads_.Of(running[j].uid, running[j].owners.size());
    uids.push_back(running[j].uid);
  }
  loads_.Keep(uids);
}

void Leader::Assign(Jobs jobs) {
  std::vector<JobAssignment>& running = jobs.running;
  const absl::Duration now = clock_.Monotonic();
  const std::vector<std::string> draining = Draining();
  std::vector<PlanWorker> workers = workers_.Alive(now, leadership_.lease_ttl());
  for (PlanWorker& worker : workers) {
    worker.drains |= std::binary_search(draining.begin(), draining.end(), worker.name);
  }
  SpareOldEngines(NeededEngine(jobs.to_plan), &workers);
  const auto ready = static_cast<size_t>(
      std::count_if(workers.begin(), workers.end(), [](const PlanWorker& worker) { return !worker.drains; }));
  if (!MayPlan(ready > 0)) return;
  const bool waiting = ready == 0 && !running.empty();
  if (waiting && !reign_.said_no_workers) {
    LogWarning("no worker is ready; the jobs wait for one", {{"jobs", running.size()}});
  }
  reign_.said_no_workers = waiting;

  RememberOwners(running);
  moves_.GiveUpOld(now);
  AddLoads(&jobs.to_plan, running);
  PlacePartitions(workers, &jobs);
  const Assignment& in_force = assignments_.in_force();
  if (reign_.wrote_assignment && in_force.draining == draining && SameJobs(running, in_force.jobs)) return;

  const Owners next = OwnersOf(running);
  const size_t moves = CountMoves(owners_.last(), next);
  const absl::Status written = assignments_.Write(reign_.term, std::move(running), draining);
  if (!written.ok()) {
    LogWarning("an assignment could not be written; it is tried again",
               {{"error", ToStd(written.message())}});
    return;
  }
  reign_.wrote_assignment = true;
  ++totals_.assignments;
  totals_.moves += moves;
  moves_.Order(owners_.last(), next, now);
  LogInfo("assignment written", {{"term", reign_.term},
                                 {"number", assignments_.in_force().number},
                                 {"workers", ready},
                                 {"moves", moves}});
  assignments_.DropOld(view_.assignments().entries());
}

}  // namespace millrace
