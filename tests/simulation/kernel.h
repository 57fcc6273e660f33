// The simulation's operating system: processes made of fibers, one virtual time, and a scheduler that takes
// every choice from the seed. The same seed makes the same run, event for event; `trace_hash` says so.
//
// Everything happens in one thread. Time passes while fibers run (some microseconds each turn) and leaps when
// none can.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/simulation/fiber.h"

namespace millrace::sim {

// Unwinds a fiber whose process was killed. Nothing catches it but the fiber's end.
struct ProcessDied {};

// What is wrong with a process's way to the broker.
struct Link {
  bool out_cut = false;  // nothing of it reaches the broker; it waits on the way
  bool in_cut = false;   // nothing of the broker's reaches it
  uint32_t lose_appends = 0, lose_acks = 0, lose_answers = 0;  // so many of the next ones
  uint32_t duplicate_appends = 0, swap_appends = 0;
  absl::Duration extra_delay;
};

struct Process;

// A fiber with what the scheduler knows of it.
struct Task {
  Task(Process& p, std::string n, std::function<void()> body)
      : process(p), name(std::move(n)), fiber(std::move(body)) {}
  enum class State { kReady, kWaiting };

  Process& process;
  const std::string name;
  State state = State::kReady;
  absl::Duration wake_at = absl::InfiniteDuration();
  bool notified = false;
  bool killed = false;     // to be unwound when it is resumed
  bool unwinding = false;  // waits for nothing any more
  struct WaitPoint* joiner = nullptr;
  Fiber fiber;
};

// Where one task at a time waits to be told of something.
struct WaitPoint {
  Task* waiter = nullptr;
};

struct Process {
  uint32_t number = 0;
  std::string name;
  bool dying = false;    // killed by itself; the scheduler buries it
  bool dead = false;     // no instruction of it runs any more but what unwinds it
  bool stopped = false;  // as by SIGSTOP
  absl::Duration clock_leap;
  absl::Duration wall_shift;
  Link link;
  // Dies at the failpoint of this name, when it passes it for the n-th time from now.
  std::string die_at;
  uint32_t die_at_pass = 0;
  std::vector<std::shared_ptr<Task>> tasks;  // in the order of their beginning: the first owns the others
  std::function<void()> on_end;              // when the last task has ended, dead or not
};

class Kernel {
 public:
  explicit Kernel(uint64_t seed) : random_(seed) {}
  ~Kernel();

  absl::Duration now() const { return now_; }
  uint64_t Random(uint64_t below) { return random_() % below; }
  bool Chance(uint64_t one_in) { return Random(one_in) == 0; }
  absl::Duration RandomDuration(absl::Duration least, absl::Duration most);

  Process& NewProcess(const std::string& name);
  std::shared_ptr<Task> Spawn(Process& process, const std::string& name, std::function<void()> body);
  // At once, whatever its tasks are doing. From outside of fibers.
  void Kill(Process& process);
  // The process that runs kills itself: does not return.
  [[noreturn]] void KillCurrent();
  void At(absl::Duration when, std::function<void()> what);
  void After(absl::Duration wait, std::function<void()> what) { At(now_ + wait, std::move(what)); }

  // --- from within a fiber
  Task* current() const { return current_; }
  // Waits for Notify or until `deadline`. True: notified. Returns at once while its task is unwound.
  bool Wait(WaitPoint* point, absl::Duration deadline);
  void Sleep(absl::Duration duration) { Wait(nullptr, now_ + duration); }
  void Yield() { Wait(nullptr, now_); }
  void Notify(WaitPoint& point);

  // One event. False: nothing can happen any more.
  bool Step();
  // Until `done` or the limit of virtual time. True: done.
  bool RunUntil(const std::function<bool()>& done, absl::Duration limit);

  // --- the trace
  void Note(std::string_view what, std::string_view who, uint64_t number = 0);
  uint64_t trace_hash() const { return trace_hash_; }
  uint64_t events() const { return events_; }
  void TraceTo(std::function<void(const std::string&)> sink) { sink_ = std::move(sink); }
  bool tracing() const { return static_cast<bool>(sink_); }

 private:
  void RunTask(const std::shared_ptr<Task>& task);
  void Bury(Process& process);
  void DropEnded();
  void Mix(uint64_t value);

  std::mt19937_64 random_;
  absl::Duration now_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::shared_ptr<Task>> tasks_;  // of all living processes
  std::multimap<absl::Duration, std::function<void()>> events_due_;
  std::vector<size_t> ready_;  // scratch
  Task* current_ = nullptr;
  uint64_t trace_hash_ = 14695981039346656037u;
  uint64_t events_ = 0;
  std::function<void(const std::string&)> sink_;
};

}  // namespace millrace::sim
