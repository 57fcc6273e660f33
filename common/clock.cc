#include "common/clock.h"

#include <chrono>

#include "absl/time/clock.h"
#include "common/fault_page.h"

namespace millrace {
namespace {

// By how much a test lets the wall clock be wrong.
absl::Duration WallClockShift() {
#if MILLRACE_TEST_HOOKS
  FaultPage* const page = OwnFaultPage();
  const int64_t shift_ms = page == nullptr ? 0 : page->clock_shift_ms.load(std::memory_order_relaxed);
  if (shift_ms == 0) return absl::ZeroDuration();
  page->shifted_looks.fetch_add(1, std::memory_order_relaxed);
  return absl::Milliseconds(shift_ms);
#else
  return absl::ZeroDuration();
#endif
}

class RealClock : public Clock {
 public:
  absl::Duration Monotonic() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
  absl::Time Now() const override { return absl::Now() + WallClockShift(); }
  void Sleep(absl::Duration duration) override { absl::SleepFor(duration); }
};

}  // namespace

Clock& SystemClock() {
  static RealClock clock;
  return clock;
}

absl::Duration ManualClock::Monotonic() const {
  absl::MutexLock lock(&mutex_);
  return elapsed_;
}

absl::Time ManualClock::Now() const { return start_ + Monotonic(); }

void ManualClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  elapsed_ += duration;
}

}  // namespace millrace
