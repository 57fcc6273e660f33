#include "worker/standby/standby_keeper.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "common/log.h"

namespace millrace {

StandbyKeeper::StandbyKeeper(BlobStore& store, const DataDir& data_dir,
                             std::shared_ptr<DbResources> resources, Clock& clock, Metrics& metrics,
                             const Options& options, Threads& threads)
    : store_(store),
      data_dir_(data_dir),
      resources_(std::move(resources)),
      clock_(clock),
      metrics_(metrics),
      options_(options),
      fetched_bytes_(options.fetched_bytes),
      thread_(threads) {}

StandbyKeeper::~StandbyKeeper() { Stop(); }

void StandbyKeeper::Stop() {
  BeginStop();
  thread_.Join();
}

void StandbyKeeper::Follow(const WantedCopies& wanted) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(kept_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    entry.second->copy->LetGo();
    return true;
  });
  for (const auto& [key, urgency] : wanted) {
    std::shared_ptr<Kept>& kept = kept_[key];
    if (kept == nullptr) {
      kept = std::make_shared<Kept>(std::make_unique<PartitionCopy>(key, store_, data_dir_, resources_));
      kept->due_at = clock_.Monotonic();
      kept->offset_metric = metrics_.MakeGauge(
          "standby_offset", "The last message whose effect is in the copy of a partition that another owns.",
          PartitionLabels(key.job, key.segment.value(), key.partition.value()));
    }
    if (urgency == CopyUrgency::kAwaited && kept->urgency != urgency) {
      kept->due_at = clock_.Monotonic();
      ++changes_;  // what is known of it by now was not worth telling before
    }
    kept->urgency = urgency;
  }
}

void StandbyKeeper::Step() {
  if (at_it_) return;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Duration now = clock_.Monotonic();
    const bool due = std::any_of(kept_.begin(), kept_.end(),
                                 [&](const auto& entry) { return entry.second->due_at <= now; });
    if (!due) return;
  }
  at_it_ = true;
  thread_.Submit([this] {
    LookAtDue();
    at_it_ = false;
  });
}

std::shared_ptr<StandbyKeeper::Kept> StandbyKeeper::TakeDue() {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_.Monotonic();
  at_work_ = nullptr;
  for (const auto& [key, kept] : kept_) {
    if (kept->due_at > now) continue;
    const auto rank = [](const Kept& k) { return std::tuple(k.urgency != CopyUrgency::kAwaited, k.due_at); };
    if (at_work_ == nullptr || rank(*kept) < rank(*at_work_)) at_work_ = kept;
  }
  return at_work_;
}

void StandbyKeeper::LookAtDue() {
  while (const std::shared_ptr<Kept> kept = TakeDue()) TakeIn(*kept, kept->copy->BringUpToDate());
}

void StandbyKeeper::TakeIn(Kept& kept, const absl::StatusOr<PartitionCopy::Outcome>& outcome) {
  absl::MutexLock lock(&mutex_);
  const bool awaited = kept.urgency == CopyUrgency::kAwaited;
  kept.due_at = clock_.Monotonic() + (awaited ? kAwaitedInterval : options_.interval);
  if (absl::IsCancelled(outcome.status())) return;
  const std::string partition = kept.copy->key().ToString();
  if (!outcome.ok()) {
    if (!std::exchange(kept.failed, true)) {
      LogWarning("a partition's state is not copied; it is tried again",
                 {{"partition", partition}, {"why", outcome.status()}});
    }
    return;
  }
  kept.failed = false;
  fetched_bytes_.Add(static_cast<double>(outcome->fetched_bytes));
  if (outcome->fetched_bytes > 0) {
    LogInfo("state copied", {{"partition", partition},
                             {"offset", outcome->offset.value()},
                             {"fetched_bytes", outcome->fetched_bytes}});
  }
  if (kept.offset == outcome->offset) return;
  kept.offset = outcome->offset;
  kept.offset_metric.Set(static_cast<double>(outcome->offset.value()));
  if (!awaited) return;
  ++changes_;
  if (options_.on_news) options_.on_news();
}

std::vector<CopyReport> StandbyKeeper::Reports() const {
  absl::MutexLock lock(&mutex_);
  std::vector<CopyReport> reports;
  for (const auto& [key, kept] : kept_) {
    if (!kept->offset.has_value()) continue;
    reports.push_back({key.uid, key.segment.value(), key.partition.value(), kept->offset->value()});
  }
  return reports;
}

bool StandbyKeeper::Keeps(const std::string& uid) const {
  absl::MutexLock lock(&mutex_);
  return std::any_of(kept_.begin(), kept_.end(), [&](const auto& entry) { return entry.first.uid == uid; });
}

void StandbyKeeper::AwaitFolder(const PartitionKey& key) {
  std::shared_ptr<Kept> at_work;
  {
    absl::MutexLock lock(&mutex_);
    if (at_work_ != nullptr && at_work_->copy->key() == key) at_work = at_work_;
  }
  if (at_work != nullptr) at_work->copy->AwaitFolder();
}

}  // namespace millrace
