#include "tests/simulation/threads.h"

#include <utility>

#include "common/strings.h"

namespace millrace::sim {
namespace {

class SimThread : public Thread {
 public:
  SimThread(Kernel& kernel, std::shared_ptr<Task> task) : kernel_(kernel), task_(std::move(task)) {}
  ~SimThread() override { task_->joiner = nullptr; }
  void Join() override {
    task_->joiner = &joined_;
    while (!task_->fiber.done() && !task_->killed) kernel_.Wait(&joined_, absl::InfiniteDuration());
  }

 private:
  Kernel& kernel_;
  const std::shared_ptr<Task> task_;
  WaitPoint joined_;
};

class SimPipe : public PointerPipe {
 public:
  explicit SimPipe(Kernel& kernel) : kernel_(kernel) {}
  void Send(void* pointer) override {
    queue_.push_back(pointer);
    kernel_.Notify(arrived_);
  }
  void* Receive(absl::Duration wait) override {
    if (queue_.empty() && wait > absl::ZeroDuration()) kernel_.Wait(&arrived_, kernel_.now() + wait);
    if (queue_.empty()) return nullptr;
    void* const front = queue_.front();
    queue_.pop_front();
    return front;
  }

 private:
  Kernel& kernel_;
  std::deque<void*> queue_;
  WaitPoint arrived_;
};

}  // namespace

absl::Duration SimClock::Monotonic() const {
  if (process_ == nullptr) return kernel_.now();
  if (process_->dead || process_->dying) return absl::InfiniteDuration();
  return absl::Hours(1) + kernel_.now() + process_->clock_leap;
}

absl::Time SimClock::Now() const {
  const absl::Duration shift = process_ == nullptr ? absl::ZeroDuration() : process_->wall_shift;
  return absl::FromUnixSeconds(kFirstUnixSecond) + kernel_.now() + shift;
}

std::unique_ptr<Thread> SimThreads::Start(std::function<void()> body) {
  return std::make_unique<SimThread>(kernel_,
                                     kernel_.Spawn(process_, StrCat("t", ++started_), std::move(body)));
}

std::unique_ptr<PointerPipe> SimThreads::NewPipe() { return std::make_unique<SimPipe>(kernel_); }

}  // namespace millrace::sim
