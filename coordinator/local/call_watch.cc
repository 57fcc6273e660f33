#include "coordinator/local/call_watch.h"

#include <utility>

#include "common/strings.h"
#include "common/units.h"

namespace millrace {

CallWatch::CallWatch(Clock& clock, Options options) : clock_(clock), options_(std::move(options)) {}

CallWatch::~CallWatch() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void CallWatch::Enter(Offset /*offset*/, uint32_t /*record*/, absl::Duration timeout,
                      const std::string& stage) {
  entered_ns_.store(absl::ToInt64Nanoseconds(clock_.Monotonic()), std::memory_order_relaxed);
  timeout_ns_.store(absl::ToInt64Nanoseconds(timeout), std::memory_order_relaxed);
  stage_.store(&stage, std::memory_order_relaxed);
  state_.store(kRunning, std::memory_order_release);
}

void CallWatch::Leave() {
  int running = kRunning;
  if (state_.compare_exchange_strong(running, kIdle)) return;
  while (true) clock_.Sleep(absl::Seconds(1));
}

void CallWatch::Crash(int /*signal*/) {
  int running = kRunning;
  state_.compare_exchange_strong(running, kCrashed);
}

void CallWatch::Start() {
  thread_ = std::thread([this] {
    const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; };
    while (true) {
      {
        absl::MutexLock lock(&mutex_);
        if (mutex_.AwaitWithTimeout(absl::Condition(&stopping), kCallWatchInterval)) return;
      }
      Check();
    }
  });
}

void CallWatch::Check() {
  const int state = state_.load(std::memory_order_acquire);
  if (state != kRunning && state != kCrashed) return;
  const absl::Duration timeout = absl::Nanoseconds(timeout_ns_.load());
  if (state == kCrashed) return options_.give_up(Why::kCrashed, *stage_.load(), timeout);
  const absl::Duration running_for = clock_.Monotonic() - absl::Nanoseconds(entered_ns_.load());
  const bool interrupted = options_.stop_asked() && running_for >= kInterruptGrace;
  if (!interrupted && running_for < timeout) return;
  int running = kRunning;
  if (!state_.compare_exchange_strong(running, kGivenUp)) return;
  options_.give_up(interrupted ? Why::kInterrupted : Why::kOverran, *stage_.load(), timeout);
}

std::string DescribeGivenUp(CallWatch::Why why, const std::string& stage, absl::Duration timeout) {
  if (why == CallWatch::Why::kCrashed) {
    return StrCat(
        "the plugin of stage ", stage,
        " crashed — on a cluster the record would be tried again in a new process, and become a dead letter "
        "after the third crash — run this under a debugger: gdb --args coordinator try …");
  }
  return StrCat(
      "stage ", stage, " overran its time of ", millrace::FormatDuration(timeout),
      " — on a cluster the record would be tried again or become a dead letter — does its code end? "
      "else give the stage a longer `timeout`");
}

}  // namespace millrace
