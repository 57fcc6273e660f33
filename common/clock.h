// Time is injected: a class that waits or stamps is given a Clock.
#pragma once

#include <cstdint>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace millrace {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic, from an unspecified start: for leases, deadlines and intervals. Never goes back.
  virtual absl::Duration Monotonic() const = 0;
  // Wall clock: for people and for tick marks only, never for a decision about ownership.
  virtual absl::Time Now() const = 0;
  virtual void Sleep(absl::Duration duration) = 0;
};

Clock& SystemClock();

// A clock that moves when told to.
class ManualClock : public Clock {
 public:
  explicit ManualClock(absl::Time start = absl::FromUnixSeconds(1'000'000'000)) : start_(start) {}
  absl::Duration Monotonic() const override;
  absl::Time Now() const override;
  void Sleep(absl::Duration duration) override { Advance(duration); }
  void Advance(absl::Duration duration);

 private:
  const absl::Time start_;
  mutable absl::Mutex mutex_;
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
};

}  // namespace millrace
