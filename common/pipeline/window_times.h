// Which windows an event time is in: pure arithmetic.
#pragma once

#include <cstdint>

namespace millrace {

// Beyond these a number is no event time, and bounds of windows would leave 64 bits (2^53 ms are 285,000 years).
inline constexpr int64_t kMaxWindowTimeMs = int64_t{1} << 53;

// The multiple of `step_ms` at or before `time_ms`.
inline int64_t FloorTo(int64_t time_ms, int64_t step_ms) {
  const int64_t rest = time_ms % step_ms;
  return time_ms - (rest < 0 ? rest + step_ms : rest);
}

// Windows [k * every, k * every + size), for every whole k. Tumbling ones: every == size.
struct FixedWindows {
  int64_t size_ms = 1;
  int64_t every_ms = 1;

  // Starts of the first and the last window that hold the time. REQUIRES: |time_ms| <= kMaxWindowTimeMs.
  int64_t FirstStart(int64_t time_ms) const { return FloorTo(time_ms - size_ms, every_ms) + every_ms; }
  int64_t LastStart(int64_t time_ms) const { return FloorTo(time_ms, every_ms); }
};

}  // namespace millrace
