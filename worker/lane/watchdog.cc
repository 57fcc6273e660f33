#include "worker/lane/watchdog.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/log.h"
#include "common/plugin/crash_guard.h"
#include "common/strings.h"
#include "worker/partition/verdict_append.h"

namespace millrace {
namespace {
constexpr int64_t kNoDeadlineNs = std::numeric_limits<int64_t>::max();
}  // namespace

Watchdog::Slot::Slot(Watchdog& watchdog, uint64_t instance, PartitionKey partition, Epoch epoch,
                     LogTail verdict_tail, Mark low_mark)
    : watchdog_(watchdog),
      instance_(instance),
      partition_(std::move(partition)),
      epoch_(epoch),
      verdict_tail_(std::move(verdict_tail)),
      low_mark_(low_mark) {
  absl::MutexLock lock(&watchdog_.mutex_);
  watchdog_.slots_.push_back(this);
}

Watchdog::Slot::~Slot() {
  absl::MutexLock lock(&watchdog_.mutex_);
  std::erase(watchdog_.slots_, this);
}

void Watchdog::Slot::Enter(Offset offset, uint32_t record, absl::Duration timeout, const std::string& stage) {
  offset_.store(offset.value(), std::memory_order_relaxed);
  record_.store(record, std::memory_order_relaxed);
  stage_.store(&stage, std::memory_order_relaxed);
  const int64_t deadline_ns =
      IsDecided(offset) ? kNoDeadlineNs : absl::ToInt64Nanoseconds(watchdog_.clock_.Monotonic() + timeout);
  deadline_ns_.store(deadline_ns, std::memory_order_relaxed);
  state_.store(kRunning, std::memory_order_release);
}

void Watchdog::Slot::Leave() {
  int running = kRunning;
  if (state_.compare_exchange_strong(running, kIdle)) return;
  while (true) watchdog_.clock_.Sleep(absl::Seconds(1));
}

// In a signal's handler.
void Watchdog::Slot::Crash(int signal) {
  signal_.store(signal, std::memory_order_relaxed);
  int running = kRunning;
  state_.compare_exchange_strong(running, kCrashed);
}

void Watchdog::Slot::SetProgress(Offset applied, Offset committed) {
  applied_.store(applied.value(), std::memory_order_relaxed);
  committed_.store(committed.value(), std::memory_order_relaxed);
}

void Watchdog::Slot::SetVerdictTail(LogTail tail) {
  absl::MutexLock lock(&watchdog_.mutex_);
  verdict_tail_ = std::move(tail);
}

Watchdog::PoolSlot::PoolSlot(Watchdog& watchdog, std::string stage, absl::Duration timeout)
    : watchdog_(watchdog), stage_(std::move(stage)), timeout_(timeout) {
  absl::MutexLock lock(&watchdog_.mutex_);
  watchdog_.pool_slots_.push_back(this);
}

Watchdog::PoolSlot::~PoolSlot() {
  absl::MutexLock lock(&watchdog_.mutex_);
  std::erase(watchdog_.pool_slots_, this);
}

void Watchdog::PoolSlot::Enter(const CallPlace& place) {
  asker_.store(place.asker, std::memory_order_relaxed);
  offset_.store(place.offset.value(), std::memory_order_relaxed);
  record_.store(place.record, std::memory_order_relaxed);
  deadline_ns_.store(absl::ToInt64Nanoseconds(watchdog_.clock_.Monotonic() + timeout_),
                     std::memory_order_relaxed);
  call_.store(++calls_, std::memory_order_release);
}

void Watchdog::PoolSlot::Leave() {
  uint64_t running = calls_;
  if (call_.compare_exchange_strong(running, kIdle)) return;
  while (true) watchdog_.clock_.Sleep(absl::Seconds(1));
}

Watchdog::Watchdog(Bus& bus, Clock& clock, std::function<void()> end_process, Threads& threads)
    : bus_(bus), clock_(clock), end_process_(std::move(end_process)), threads_(threads), stop_(threads) {}

Watchdog::~Watchdog() { Stop(); }

void Watchdog::Start() {
  thread_ = threads_.Start([this] {
    while (stop_.Receive(kWatchdogInterval) == nullptr) Check();
  });
}

void Watchdog::Stop() {
  if (thread_ == nullptr) return;
  stop_.Send(Stopping{});
  std::exchange(thread_, nullptr)->Join();
}

void Watchdog::Check() {
  const int64_t now_ns = absl::ToInt64Nanoseconds(clock_.Monotonic());
  absl::MutexLock lock(&mutex_);
  for (Slot* slot : slots_) {
    const int state = slot->state_.load(std::memory_order_acquire);
    if (state == Slot::kCrashed) {
      slot->state_ = Slot::kCondemned;
      EndCrashed(*slot);
    }
    if (state != Slot::kRunning || now_ns < slot->deadline_ns_) continue;
    int running = Slot::kRunning;
    // From here on the call's outcome is decided: it failed. Leave can no longer return.
    if (!slot->state_.compare_exchange_strong(running, Slot::kCondemned)) continue;
    const std::string& stage = *slot->stage_;
    Condemn(*slot,
            {Offset(slot->offset_), slot->record_, StrCat("stage ", stage, " overran its time"), stage});
    end_process_();
  }
  CheckPools(now_ns);
}

void Watchdog::CheckPools(int64_t now_ns) {
  for (PoolSlot* const slot : pool_slots_) {
    const uint64_t call = slot->call_.load(std::memory_order_acquire);
    if (call == PoolSlot::kIdle || call == PoolSlot::kCondemned || now_ns < slot->deadline_ns_) continue;
    const auto partition = std::find_if(slots_.begin(), slots_.end(), [&](const Slot* candidate) {
      return candidate->instance_ == slot->asker_;
    });
    CondemnInPool(*slot, call, partition == slots_.end() ? nullptr : *partition);
  }
}

// `partition`: whose call it is; null: it is gone. What was made ahead may still run when its record is applied, by
// another call: nobody is charged then. The thread is held up all the same, and the process ends; but not before the record
// is committed, since an heir that runs it again would come to the same call.
void Watchdog::CondemnInPool(PoolSlot& slot, uint64_t call, const Slot* partition) {
  const Verdict verdict{Offset(slot.offset_), slot.record_,
                        StrCat("stage ", slot.stage_, " overran its time"), slot.stage_};
  const bool is_stale = partition == nullptr || partition->IsCommitted(verdict.offset);
  if (!is_stale && (partition->IsDecided(verdict.offset) || partition->IsApplied(verdict.offset))) return;
  if (!slot.call_.compare_exchange_strong(call, PoolSlot::kCondemned)) return;
  if (is_stale) {
    LogError("user code overran its time in a call that counts for nothing any more: this process ends",
             {{"stage", slot.stage_}});
  } else {
    Condemn(*partition, verdict);
  }
  end_process_();
}

void Watchdog::Condemn(const Slot& slot, const Verdict& verdict) {
  LogError("user code overran its time: this process ends, the record's attempt is counted",
           {{"partition", slot.partition_.ToString()},
            {"offset", verdict.offset.value()},
            {"record", verdict.record},
            {"stage", verdict.stage}});
  Tell(slot, verdict);
}

void Watchdog::EndCrashed(Slot& slot) {
  const bool decided = slot.deadline_ns_ == kNoDeadlineNs;
  const std::string signal = SignalName(slot.signal_);
  const Verdict verdict = {Offset(slot.offset_), slot.record_, StrCat("its plugin crashed with ", signal),
                           *slot.stage_, Verdict::Outcome::kLost};
  LogError(decided ? "a plugin crashed where it went well before: this process ends"
                   : "a plugin crashed: this process ends, the record's attempt is counted",
           {{"partition", slot.partition_.ToString()},
            {"offset", verdict.offset.value()},
            {"record", verdict.record},
            {"stage", *slot.stage_},
            {"signal", signal}});
  if (!decided) Tell(slot, verdict);
  end_process_();
}

// Refused for good: another owner is there, and whatever this process holds is void. No answer: the record runs again.
void Watchdog::Tell(const Slot& slot, const Verdict& verdict) {
  LogTail tail = slot.verdict_tail_;
  size_t written = 0;
  const absl::Status told =
      AppendVerdicts(bus_, clock_, slot.partition_, slot.epoch_, {verdict}, &tail, &written);
  if (!told.ok()) LogWarning("the verdict was not taken", {{"why", told}});
}

}  // namespace millrace
