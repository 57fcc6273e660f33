#include "tests/simulation/kernel.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_format.h"

namespace millrace::sim {
namespace {

constexpr uint64_t kMostMicrosATurn = 20;
constexpr uint64_t kFnvPrime = 1099511628211u;

}  // namespace

Kernel::~Kernel() {
  for (const auto& process : processes_) {
    process->on_end = nullptr;
    Kill(*process);
  }
}

absl::Duration Kernel::RandomDuration(absl::Duration least, absl::Duration most) {
  const int64_t span = std::max<int64_t>(1, absl::ToInt64Microseconds(most - least));
  return least + absl::Microseconds(static_cast<int64_t>(Random(static_cast<uint64_t>(span))));
}

Process& Kernel::NewProcess(const std::string& name) {
  processes_.push_back(std::make_unique<Process>());
  Process& process = *processes_.back();
  process.number = static_cast<uint32_t>(processes_.size());
  process.name = name;
  return process;
}

std::shared_ptr<Task> Kernel::Spawn(Process& process, const std::string& name, std::function<void()> body) {
  auto task = std::make_shared<Task>(process, name, [body = std::move(body)] {
    try {
      body();
    } catch (const ProcessDied&) {
    }
  });
  process.tasks.push_back(task);
  tasks_.push_back(task);
  return task;
}

void Kernel::Kill(Process& process) {
  assert(current_ == nullptr);
  if (process.dead) return;
  Note("dies", process.name);
  process.dead = true;
  // The first task owns what the others use: it goes last.
  const std::vector<std::shared_ptr<Task>> tasks = process.tasks;
  for (auto it = tasks.rbegin(); it != tasks.rend(); ++it) {
    Task& task = **it;
    task.killed = true;
    if (!task.fiber.begun() || task.fiber.done()) continue;
    current_ = &task;
    task.fiber.Resume();
    current_ = nullptr;
    assert(task.fiber.done());
  }
  Bury(process);
}

void Kernel::KillCurrent() {
  current_->process.dying = true;
  Wait(nullptr, absl::InfiniteDuration());
  throw ProcessDied{};  // it is unwound already: the outermost frame that still asks
}

void Kernel::Bury(Process& process) {
  process.dead = true;
  process.tasks.clear();
  std::erase_if(tasks_, [&](const auto& task) { return &task->process == &process; });
  if (process.on_end) std::exchange(process.on_end, nullptr)();
}

void Kernel::At(absl::Duration when, std::function<void()> what) {
  events_due_.emplace(when, std::move(what));
}

bool Kernel::Wait(WaitPoint* point, absl::Duration deadline) {
  Task* const task = current_;
  assert(task != nullptr);
  if (task->unwinding) return false;
  task->state = Task::State::kWaiting;
  task->wake_at = deadline;
  task->notified = false;
  if (point != nullptr) point->waiter = task;
  task->fiber.Leave();
  if (point != nullptr && point->waiter == task) point->waiter = nullptr;
  if (task->killed) {
    task->unwinding = true;
    throw ProcessDied{};
  }
  return task->notified;
}

void Kernel::Notify(WaitPoint& point) {
  Task* const task = std::exchange(point.waiter, nullptr);
  if (task == nullptr || task->state != Task::State::kWaiting) return;
  task->notified = true;
  task->state = Task::State::kReady;
}

void Kernel::RunTask(const std::shared_ptr<Task>& task) {
  ++events_;
  Mix(static_cast<uint64_t>(absl::ToInt64Nanoseconds(now_)));
  Mix(task->process.number);
  for (const char c : task->name) Mix(static_cast<unsigned char>(c));
  current_ = task.get();
  task->fiber.Resume();
  current_ = nullptr;
  now_ += absl::Microseconds(static_cast<int64_t>(1 + Random(kMostMicrosATurn)));
  Process& process = task->process;
  if (process.dying) {
    Kill(process);
    return;
  }
  if (!task->fiber.done()) return;
  if (task->joiner != nullptr) Notify(*task->joiner);
  std::erase(process.tasks, task);
  std::erase(tasks_, task);
  if (process.tasks.empty()) Bury(process);
}

bool Kernel::Step() {
  if (!events_due_.empty() && events_due_.begin()->first <= now_) {
    ++events_;
    const std::function<void()> what = std::move(events_due_.begin()->second);
    events_due_.erase(events_due_.begin());
    what();
    return true;
  }
  ready_.clear();
  absl::Duration next = absl::InfiniteDuration();
  for (size_t i = 0; i < tasks_.size(); ++i) {
    Task& task = *tasks_[i];
    if (task.process.stopped) continue;
    if (task.state == Task::State::kReady || task.wake_at <= now_) {
      ready_.push_back(i);
    } else {
      next = std::min(next, task.wake_at);
    }
  }
  if (!ready_.empty()) {
    const std::shared_ptr<Task> task = tasks_[ready_[Random(ready_.size())]];
    task->state = Task::State::kReady;
    RunTask(task);
    return true;
  }
  if (!events_due_.empty()) next = std::min(next, events_due_.begin()->first);
  if (next == absl::InfiniteDuration()) return false;
  now_ = std::max(now_, next);
  return true;
}

bool Kernel::RunUntil(const std::function<bool()>& done, absl::Duration limit) {
  const absl::Duration end = now_ + limit;
  while (!done()) {
    if (now_ > end || !Step()) return false;
  }
  return true;
}

void Kernel::Mix(uint64_t value) { trace_hash_ = (trace_hash_ ^ value) * kFnvPrime; }

void Kernel::Note(std::string_view what, std::string_view who, uint64_t number) {
  for (const char c : what) Mix(static_cast<unsigned char>(c));
  for (const char c : who) Mix(static_cast<unsigned char>(c));
  Mix(number);
  if (!sink_) return;
  sink_(absl::StrFormat("%10.4f  %s %s %d", absl::ToDoubleSeconds(now_), std::string(who), std::string(what),
                        number));
}

}  // namespace millrace::sim
