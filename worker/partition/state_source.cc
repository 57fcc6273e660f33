#include "worker/partition/state_source.h"

#include <algorithm>
#include <utility>

#include "common/checkpoint/catalog.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/strings.h"
#include "worker/checkpoint/restorer.h"

namespace millrace {
namespace {

std::optional<Offset> OffsetOf(const StateStore& store) {
  if (!store.Restored().has_value()) return std::nullopt;
  return store.Restored()->offset;
}

Offset NewestOf(const StartFacts& facts) {
  const auto newest = std::max_element(facts.checkpoints.begin(), facts.checkpoints.end());
  return newest == facts.checkpoints.end() ? Offset() : newest->offset;
}

}  // namespace

StateSource::StateSource(const PartitionKey& key, Clock& clock, DataDir& data_dir,
                         std::shared_ptr<DbResources> resources, const Options& options)
    : key_(key), clock_(clock), data_dir_(data_dir), resources_(std::move(resources)), options_(options) {}

absl::StatusOr<std::unique_ptr<StateStore>> StateSource::Open() {
  absl::StatusOr<std::string> dir = data_dir_.PartitionFolder(folder());
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<PartitionDb>> db = PartitionDb::Open(*dir, resources_);
  if (!db.ok()) return db.status();
  return StateStore::Open(*std::move(db), {options_.state_budget_bytes});
}

absl::StatusOr<std::unique_ptr<StateStore>> StateSource::OpenLocal() {
  MILLRACE_FAILPOINT("before_restore");
  absl::StatusOr<std::unique_ptr<StateStore>> store = Open();
  if (!absl::IsDataLoss(store.status())) return store;
  LogWarning("the state on disk is damaged: it is thrown away and made again",
             {{"partition", key_.ToString()}, {"why", store.status()}});
  if (absl::Status status = data_dir_.Remove(folder()); !status.ok()) return status;
  return Open();
}

// A store that does not answer is no reason to stop where there is state on this disk; elsewhere it is waited
// for, and at last done without.
absl::Status StateSource::FindCheckpoints(StartFacts* facts) {
  if (options_.checkpoints == nullptr) return absl::OkStatus();
  absl::StatusOr<std::vector<CheckpointId>> found =
      ListCheckpoints(*options_.checkpoints, {key_.uid, key_.segment, key_.partition});
  if (found.ok()) {
    facts->checkpoints = *std::move(found);
    std::erase_if(facts->checkpoints, [this](const CheckpointId& id) { return unfit_.contains(id); });
    return absl::OkStatus();
  }
  if (PlanStart(*facts).empty()) return found.status();
  if (!facts->local.has_value() && options_.failures < kMaxStoreFailures) return found.status();
  LogWarning("the checkpoint store does not answer: going on without it",
             {{"partition", key_.ToString()}, {"why", found.status()}});
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StateStore>> StateSource::Restore(const CheckpointId& id) {
  const absl::Duration began = clock_.Monotonic();
  const absl::StatusOr<RestoredCheckpoint> restored =
      RestoreCheckpoint(*options_.checkpoints, key_, id, data_dir_, resources_);
  if (!restored.ok()) return restored.status();
  absl::StatusOr<std::unique_ptr<StateStore>> store = Open();
  if (!store.ok()) return store.status();
  const double seconds = absl::ToDoubleSeconds(clock_.Monotonic() - began);
  options_.restore_seconds.Observe(seconds);
  LogInfo("checkpoint restored", {{"partition", key_.ToString()},
                                  {"epoch", id.epoch.value()},
                                  {"offset", id.offset.value()},
                                  {"bytes", restored->manifest.bytes()},
                                  {"fetched_bytes", restored->fetched_bytes},
                                  {"seconds", seconds}});
  return store;
}

// A checkpoint that cannot be used is no fact any more, and the plan is made again from those that are left.
absl::StatusOr<StateSource::Chosen> StateSource::Choose(std::unique_ptr<StateStore> local,
                                                        uint64_t log_begins_at) {
  StartFacts facts;
  facts.local = OffsetOf(*local);
  facts.log_begins_at = std::max<uint64_t>(log_begins_at, 1);
  if (absl::Status status = FindCheckpoints(&facts); !status.ok()) return status;
  const size_t found = facts.checkpoints.size();

  chosen_.reset();
  absl::Status store_failure;
  for (std::vector<StartStep> plan = PlanStart(facts); !plan.empty(); plan = PlanStart(facts)) {
    const StartStep& step = plan.front();
    if (step.kind != StartStep::Kind::kCheckpoint) return Chosen{std::move(local), NewestOf(facts)};
    local.reset();
    absl::StatusOr<std::unique_ptr<StateStore>> restored = Restore(step.checkpoint);
    if (restored.ok()) {
      chosen_ = step.checkpoint;
      return Chosen{*std::move(restored), NewestOf(facts)};
    }
    if (!absl::IsDataLoss(restored.status())) {
      if (options_.failures < kMaxStoreFailures) return restored.status();
      store_failure = restored.status();
    }
    LogWarning("a checkpoint cannot be used; the next best is tried",
               {{"partition", key_.ToString()},
                {"epoch", step.checkpoint.epoch.value()},
                {"offset", step.checkpoint.offset.value()},
                {"why", restored.status()}});
    unfit_.insert(step.checkpoint);
    std::erase(facts.checkpoints, step.checkpoint);
    absl::StatusOr<std::unique_ptr<StateStore>> opened = OpenLocal();
    if (!opened.ok()) return opened.status();
    local = *std::move(opened);
    facts.local = OffsetOf(*local);
  }
  return store_failure.ok() ? NothingLeadsOn(facts, found) : store_failure;
}

absl::Status StateSource::ThrowAway() {
  if (chosen_.has_value()) unfit_.insert(*chosen_);
  return data_dir_.Remove(folder());
}

absl::Status StateSource::NothingLeadsOn(const StartFacts& facts, size_t checkpoints_found) const {
  const std::string here = facts.local.has_value()
                               ? StrCat("the one on this disk ends at ", facts.local->value())
                               : std::string("there is none on this disk");
  const std::string stored =
      options_.checkpoints == nullptr
          ? std::string("this worker has no --checkpoints")
          : StrCat("none of ", checkpoints_found, " checkpoints is good and reaches so far");
  return absl::DataLossError(StrCat(key_.input_stream(), " begins at ", facts.log_begins_at,
                                    ": what came before is gone, and no state leads on from there — ", here,
                                    ", ", stored,
                                    " — bring back the data folder or the checkpoints that do"));
}

}  // namespace millrace
