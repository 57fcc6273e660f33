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
#include "common/ids.h"
#include "common/mailbox.h"
#include "common/pipeline/pipeline.h"
#include "common/threads.h"
#include "worker/partition/log_tail.h"
#include "worker/partition/partition_id.h"

namespace millrace {

inline constexpr absl::Duration kWatchdogInterval = absl::Milliseconds(50);

// One call slot for each partition; all slots are watched by one thread.
class Watchdog {
 public:
  // What the partition's calls are known by. Lives as long as the partition.
  class Slot : public CallObserver {
   public:
    Slot(Watchdog& watchdog, PartitionKey partition, Epoch epoch, LogTail verdict_tail, Mark low_mark);
    ~Slot() override;
    void Enter(Offset offset, uint32_t record, absl::Duration timeout, const std::string& stage) override;
    // Blocks for ever when the call was condemned meanwhile: the process is about to end, and nothing may
    // follow from the call.
    void Leave() override;
    // What came of a record is decided where its outputs are out already: the process ends without a verdict then.
    void Crash(int signal) override;
    // Verdicts that were given elsewhere stand up to here. REQUIRES: no call under way.
    void SetVerdictTail(LogTail tail);

   private:
    friend class Watchdog;
    enum State : int { kIdle, kRunning, kCondemned, kCrashed };

    Watchdog& watchdog_;
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
  void Condemn(Slot& slot);
  void EndCrashed(Slot& slot);
  void Tell(Slot& slot, const Verdict& verdict);

  Bus& bus_;
  Clock& clock_;
  const std::function<void()> end_process_;
  absl::Mutex mutex_;
  std::vector<Slot*> slots_ ABSL_GUARDED_BY(mutex_);
  Threads& threads_;
  struct Stopping {};
  Mailbox<Stopping> stop_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace millrace
