// Ends user code that overruns its time, or has crashed. A call cannot be stopped from outside, so the process is: first
// a verdict is put into the partition's verdict stream (one attempt of that record is used up), then the
// process ends, and the next owner finds the verdict.
//
// What a crash leaves of the process's memory nobody knows. So it is the record that is blamed only when it crashes alone
// in a new process again, kLeastHandlerLosses times.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/frame/verdict.h"
#include "common/handler/pool_thread.h"
#include "common/ids.h"
#include "common/mailbox.h"
#include "common/pipeline/pipeline.h"
#include "common/threads.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/partition_id.h"

namespace millrace {

inline constexpr absl::Duration kWatchdogInterval = absl::Milliseconds(50);

// One call slot for each partition, and one for each thread of a pool; all slots are watched by one thread.
class Watchdog {
 public:
  // What the partition's calls are known by. Lives as long as the partition.
  class Slot : public CallObserver {
   public:
    // `instance`: the partition's, by which calls in pools name it.
    Slot(Watchdog& watchdog, uint64_t instance, PartitionKey partition, Epoch epoch, LogTail verdict_tail,
         Mark low_mark);
    ~Slot() override;
    void Enter(Offset offset, uint32_t record, absl::Duration timeout, const std::string& stage) override;
    // Blocks for ever when the call was condemned meanwhile: the process is about to end, and nothing may
    // follow from the call.
    void Leave() override;
    // What came of a record is decided where its outputs are out already: the process ends without a verdict then.
    void Crash(int signal) override;
    // Calls of messages up to `applied` count for nothing any more, and up to `committed` nobody makes them again. Called on
    // the partition's thread.
    void SetProgress(Offset applied, Offset committed);
    // Verdicts that were given elsewhere stand up to here. REQUIRES: no call under way.
    void SetVerdictTail(LogTail tail);

   private:
    friend class Watchdog;
    enum State : int { kIdle, kRunning, kCondemned, kCrashed };

    // What came of this record is in the result stream already: a replay must come to the same, however slow it is
    // today.
    bool IsDecided(Offset offset) const { return offset.value() < low_mark_.offset; }
    bool IsApplied(Offset offset) const { return offset.value() <= applied_; }
    bool IsCommitted(Offset offset) const { return offset.value() <= committed_; }

    Watchdog& watchdog_;
    const uint64_t instance_;
    const PartitionKey partition_;
    const Epoch epoch_;
    LogTail verdict_tail_;  // guarded by the watchdog's lock
    const Mark low_mark_;
    std::atomic<int> state_{kIdle};
    std::atomic<int64_t> deadline_ns_{0};  // monotonic
    std::atomic<uint64_t> offset_{0};
    std::atomic<uint32_t> record_{0};
    std::atomic<const std::string*> stage_{nullptr};
    std::atomic<int> signal_{0};  // kCrashed
    std::atomic<uint64_t> applied_{0}, committed_{0};
  };

  // What one thread of a pool runs, for whichever partition. Lives as long as the thread's code.
  class PoolSlot : public PoolCallWatch {
   public:
    PoolSlot(Watchdog& watchdog, std::string stage, absl::Duration timeout);
    ~PoolSlot() override;
    void Enter(const CallPlace& place) override;
    void Leave() override;  // as Slot's

   private:
    friend class Watchdog;
    static constexpr uint64_t kIdle = 0, kCondemned = UINT64_MAX;

    Watchdog& watchdog_;
    const std::string stage_;
    const absl::Duration timeout_;
    uint64_t calls_ = 0;
    std::atomic<uint64_t> call_{
        kIdle};  // the number of the one under way: what is read beside it is of that one
    std::atomic<int64_t> deadline_ns_{0};
    std::atomic<uint64_t> asker_{0};
    std::atomic<uint64_t> offset_{0};
    std::atomic<uint32_t> record_{0};
  };

  // `bus` is the watchdog's own connection (it blocks on it); `end_process` is what ends it (tests put
  // something milder in).
  Watchdog(Bus& bus, Clock& clock, std::function<void()> end_process, Threads& threads = SystemThreads());
  ~Watchdog();

  // Condemns what is overdue or has crashed. Called by the watchdog's thread; by hand in tests.
  void Check();
  void Start();
  void Stop();

 private:
  void CheckPools(int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CondemnInPool(PoolSlot& slot, uint64_t call, const Slot* partition);
  void Condemn(const Slot& slot, const Verdict& verdict);
  void EndCrashed(Slot& slot);
  void Tell(const Slot& slot, const Verdict& verdict);

  Bus& bus_;
  Clock& clock_;
  const std::function<void()> end_process_;
  absl::Mutex mutex_;
  std::vector<Slot*> slots_ ABSL_GUARDED_BY(mutex_);
  std::vector<PoolSlot*> pool_slots_ ABSL_GUARDED_BY(mutex_);
  Threads& threads_;
  struct Stopping {};
  Mailbox<Stopping> stop_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace millrace
