// A process's clock, threads and pipes in the simulation: fibers and queues.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/threads.h"
#include "tests/simulation/kernel.h"

namespace millrace::sim {

inline constexpr int64_t kFirstUnixSecond = 1'000'000'000;

// What one process sees of time. A dead process's clock stands at the end of time, so that nothing that is
// unwound waits for anything.
class SimClock : public Clock {
 public:
  SimClock(Kernel& kernel, const Process* process) : kernel_(kernel), process_(process) {}
  absl::Duration Monotonic() const override;
  absl::Time Now() const override;
  void Sleep(absl::Duration duration) override { kernel_.Sleep(duration); }

 private:
  Kernel& kernel_;
  const Process* const process_;  // null: the broker's
};

class SimThreads : public Threads {
 public:
  SimThreads(Kernel& kernel, Process& process) : kernel_(kernel), process_(process) {}
  std::unique_ptr<Thread> Start(std::function<void()> body) override;
  std::unique_ptr<PointerPipe> NewPipe() override;

 private:
  Kernel& kernel_;
  Process& process_;
  uint32_t started_ = 0;
};

}  // namespace millrace::sim
