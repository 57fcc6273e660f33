// A thread that runs tasks one after the other: for work that blocks on disk or broker and must not hold a
// lane.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "common/mailbox.h"
#include "common/threads.h"

namespace millrace {

class TaskThread {
 public:
  explicit TaskThread(Threads& threads = SystemThreads())
      : tasks_(threads), thread_(threads.Start([this] { Run(); })) {}
  // Runs what was submitted, then ends.
  ~TaskThread() { Join(); }
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  void Submit(std::function<void()> task) { tasks_.Send(std::move(task)); }
  void Join() {
    if (thread_ == nullptr) return;
    tasks_.Send(nullptr);
    std::exchange(thread_, nullptr)->Join();
  }

 private:
  void Run() {
    while (true) {
      const auto task = tasks_.Receive(absl::Seconds(10));
      if (task == nullptr) continue;
      if (*task == nullptr) return;
      (*task)();
    }
  }

  Mailbox<std::function<void()>> tasks_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace millrace
