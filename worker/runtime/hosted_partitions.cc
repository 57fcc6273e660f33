// What the runtime hosts against what is desired: opens, lets go, tries again.
#include <algorithm>
#include <utility>

#include "common/cluster/table_store.h"
#include "common/log.h"
#include "common/strings.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {
namespace {

constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kMaxRetry = absl::Seconds(5);
constexpr absl::Duration kProvenAfter = absl::Seconds(30);  // having run so long, failures are forgotten

absl::Duration RetryAfter(int failures) {
  return std::min(kMaxRetry, kFirstRetry * (int64_t{1} << std::min(failures, 10)));
}

}  // namespace

void WorkerRuntime::HandleOpened(Opened opened) {
  const auto it = hosted_.find(opened.key);
  if (it == hosted_.end() || it->second.instance != opened.instance) return;
  Hosted& hosted = it->second;
  if (opened.result.ok() && !hosted.abandon && !shutting_down_) {
    LogInfo("partition opened", {{"partition", opened.key.ToString()},
                                 {"epoch", (*opened.result)->epoch.value()},
                                 {"offset", (*opened.result)->offset.value()}});
    hosted.phase = Hosted::Phase::kRunning;
    hosted.opened_at = clock_.Monotonic();
    hosted.versions = (*opened.result)->versions.size();
    hosted.gives_verdicts = (*opened.result)->gives_verdicts;
    if (const auto told_at = std::exchange(hosted.told_at, std::nullopt)) {
      worker_metrics_.takeover_seconds.Observe(absl::ToDoubleSeconds(hosted.opened_at - *told_at));
    }
    lanes_[LaneOf(hosted.instance)]->Send(AdoptPartition{
        hosted.instance, *std::move(opened.result), hosted.paused, memory_plan_.partition_bytes,
        checkpointer_ != nullptr ? options_.checkpoint_interval : absl::InfiniteDuration(),
        MakePartitionMetrics(metrics_, opened.key, worker_metrics_.fenced)});
    return;
  }
  if (opened.result.ok() || hosted.abandon) {
    board_.Remove(hosted.instance);
    hosted_.erase(it);
    return;
  }
  const absl::Status& why = opened.result.status();
  // What the broker holds does not change by asking again; the rest may pass.
  const bool for_good = absl::IsDataLoss(why);
  ReportTrouble(opened.key, hosted, for_good ? "stopped" : "restoring", why);
  hosted.phase = Hosted::Phase::kStopped;
  hosted.retry_at = for_good ? absl::InfiniteDuration() : clock_.Monotonic() + RetryAfter(hosted.failures++);
}

void WorkerRuntime::ReportTrouble(const PartitionKey& key, const Hosted& hosted, std::string_view state,
                                  const absl::Status& why) {
  PartitionReport report = board_.Find(hosted.instance).value_or(PartitionReport());
  if (report.reason != why.message()) {
    // A submit makes the streams after the job's record: to come too early is no error.
    if (absl::IsUnavailable(why)) {
      LogInfo("partition cannot be opened yet", {{"partition", key.ToString()}, {"why", why}});
    } else {
      LogError("partition cannot be opened", {{"partition", key.ToString()}, {"why", why}});
    }
  }
  report.job = key.job;
  report.uid = key.uid;
  report.segment = key.segment.value();
  report.partition = key.partition.value();
  report.state = std::string(state);
  report.reason = std::string(why.message());
  board_.Put(hosted.instance, std::move(report));
}

void WorkerRuntime::HandleGone(const Gone& gone) {
  const auto it = std::find_if(hosted_.begin(), hosted_.end(),
                               [&](const auto& entry) { return entry.second.instance == gone.instance; });
  if (it == hosted_.end()) return;
  Hosted& hosted = it->second;
  if (hosted.phase != Hosted::Phase::kRunning) {
    board_.Remove(gone.instance);
    hosted_.erase(it);
    return;
  }
  // It let go by itself: a later owner is there, or its disk failed. Should it still be wanted here, then
  // after a while.
  const absl::Duration now = clock_.Monotonic();
  if (now - hosted.opened_at >= kProvenAfter) hosted.failures = 0;
  const absl::Duration wait = RetryAfter(++hosted.failures);
  if (!gone.why.ok()) {
    // One that its lane could not even begin with has said nothing yet.
    if (!board_.Find(gone.instance).has_value()) ReportTrouble(it->first, hosted, "stopped", gone.why);
    LogWarning("partition is opened again after a while",
               {{"partition", it->first.ToString()}, {"after", absl::FormatDuration(wait)}});
  }
  hosted.phase = Hosted::Phase::kStopped;
  hosted.retry_at = now + wait;
}

void WorkerRuntime::Release(Hosted& hosted, bool abandon) {
  switch (hosted.phase) {
    case Hosted::Phase::kOpening:
      hosted.abandon = true;
      if (hosted.unwanted != nullptr) *hosted.unwanted = true;
      break;
    case Hosted::Phase::kReleasing:
      if (!abandon) break;
      [[fallthrough]];
    case Hosted::Phase::kRunning:
      hosted.phase = Hosted::Phase::kReleasing;
      lanes_[LaneOf(hosted.instance)]->Send(ReleasePartition{hosted.instance, abandon});
      break;
    case Hosted::Phase::kStopped:
      break;
  }
}

void WorkerRuntime::Reconcile() {
  if (!MayAct()) return;
  if (const uint64_t revision = membership_->revision();
      revision != desired_revision_ && membership_->KnowsDesired()) {
    desired_ = membership_->Desired();
    desired_copies_ = membership_->DesiredCopies();
    desired_revision_ = revision;
  }
  FollowCopies();  // before anything is opened: what is owned here is not copied any more
  for (auto it = hosted_.begin(); it != hosted_.end();) {
    Hosted& hosted = it->second;
    const auto wish = desired_.find(it->first);
    if (wish == desired_.end()) {
      Release(hosted, /*abandon=*/false);
      if (hosted.phase == Hosted::Phase::kStopped) {
        board_.Remove(hosted.instance);
        it = hosted_.erase(it);
        continue;
      }
    } else if (hosted.phase == Hosted::Phase::kStopped && clock_.Monotonic() >= hosted.retry_at) {
      StartOpening(it->first, wish->second);
    } else if (hosted.paused != wish->second.paused) {
      hosted.paused = wish->second.paused;
      lanes_[LaneOf(hosted.instance)]->Send(PausePartition{hosted.instance, hosted.paused});
    } else if (hosted.phase == Hosted::Phase::kRunning) {
      FollowMove(hosted, wish->second);
      FollowCode(hosted, wish->second);
    }
    ++it;
  }
  PlanStateBudgets();
  for (const auto& [key, wish] : desired_) {
    if (!hosted_.contains(key)) StartOpening(key, wish);
  }
}

// What the partition has been opened with does not do for code that this worker cannot run, that may give
// verdicts where none was expected, or whose files an opener is to find: it is let go in order, and opened anew.
void WorkerRuntime::FollowCode(Hosted& hosted, const DesiredPartition& wish) {
  if (!wish.versions.ok()) return Release(hosted, /*abandon=*/false);
  const SegmentVersions& versions = *wish.versions;
  if (versions.size() <= hosted.versions) return;
  if (RunsUserCode(versions) && !hosted.gives_verdicts) return Release(hosted, /*abandon=*/false);
  if (NeedsCodeFiles(versions)) return Release(hosted, /*abandon=*/false);
  hosted.versions = versions.size();
  lanes_[LaneOf(hosted.instance)]->Send(CodeKnown{hosted.instance, versions});
}

// Before anything more is opened, so that all of it together stays within the memory. What is on its way out
// still has its share.
void WorkerRuntime::PlanStateBudgets() {
  const auto is_new = [this](const auto& wish) { return !hosted_.contains(wish.first); };
  const size_t partitions =
      hosted_.size() + static_cast<size_t>(std::count_if(desired_.begin(), desired_.end(), is_new));
  const uint64_t bytes = PlanMemory(options_.memory_bytes, partitions).partition_bytes;
  if (bytes == memory_plan_.partition_bytes) return;
  memory_plan_.partition_bytes = bytes;
  for (const auto& lane : lanes_) lane->Send(SetStateBudget{bytes});
}

uint32_t WorkerRuntime::EmptiestLane() const {
  std::vector<size_t> load(lanes_.size(), 0);
  for (const auto& [key, hosted] : hosted_) ++load[LaneOf(hosted.instance)];
  return static_cast<uint32_t>(std::min_element(load.begin(), load.end()) - load.begin());
}

// On an opener's thread. Without its files nothing is claimed: whoever has the partition keeps it.
absl::StatusOr<std::unique_ptr<OpenedPartition>> WorkerRuntime::Open(Bus& bus, const OpenRequest& request) {
  const auto fetch = [&](const std::string& name, const CodeFile* known) {
    return FetchJobTable(bus, request.key.job, name, known);
  };
  OpenRequest loading = request;
  loading.load_code = [&](const SegmentVersions& versions, uint64_t first) {
    return code_files_.Load(versions, first, fetch);
  };
  return OpenPartition(bus, clock_, *data_dir_, db_resources_, loading);
}

void WorkerRuntime::StartOpening(const PartitionKey& key, const DesiredPartition& wish) {
  const uint32_t lane = EmptiestLane();
  Hosted& hosted = hosted_[key];
  const uint64_t before = std::exchange(hosted.instance, MakeInstance(++instances_, lane));
  board_.Move(before, hosted.instance);
  hosted.phase = Hosted::Phase::kOpening;
  if (!hosted.told_at.has_value()) hosted.told_at = clock_.Monotonic();
  hosted.paused = wish.paused;
  hosted.moves = false;
  hosted.abandon = false;
  if (!wish.versions.ok()) {
    // Perhaps a later version's job. As long as it is this one's, it stays stopped, and says so.
    ReportTrouble(key, hosted, "stopped", wish.versions.status());
    hosted.phase = Hosted::Phase::kStopped;
    hosted.retry_at = clock_.Monotonic() + kMaxRetry;
    return;
  }
  OpenRequest request;
  request.key = key;
  request.versions = *wish.versions;
  request.claimer = StrCat(membership_->incarnation(), "/", hosted.instance);
  request.state_budget_bytes = memory_plan_.partition_bytes;
  hosted.unwanted = std::make_shared<std::atomic<bool>>(false);
  request.still_wanted = [unwanted = hosted.unwanted] { return !*unwanted; };
  if (checkpointer_ != nullptr) {
    request.checkpoints = &checkpointer_->store();
    request.restore_seconds = worker_metrics_.checkpoints.restore_seconds;
  }
  request.failures = hosted.failures;
  const size_t i = instances_ % openers_.size();
  openers_[i]->Submit([this, i, request, instance = hosted.instance] {
    if (keeper_ != nullptr) keeper_->AwaitFolder(request.key);
    inbox_.Send(Opened{request.key, instance, Open(*opener_buses_[i], request)});
    manager_bus_->Wake();
  });
}

}  // namespace millrace
