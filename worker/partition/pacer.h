// When something is done again that costs a thread's time: after an interval, which is stretched until the cost
// is at most a share of that time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace millrace {

// Not thread-safe. Times are of a monotonic clock.
class Pacer {
 public:
  // At most one part in `share` of the time; but the interval is never stretched beyond `max_interval`.
  Pacer(int share, absl::Duration max_interval, absl::Duration now)
      : share_(share), max_interval_(max_interval), began_(now) {}

  // `sharers`: how many with a like cost there are on the same thread.
  bool IsDue(absl::Duration now, absl::Duration interval, size_t sharers) const {
    const absl::Duration stretched = cost_ * (share_ * static_cast<int64_t>(sharers));
    return now - began_ >= std::max(interval, std::min(stretched, max_interval_));
  }
  void Begin(absl::Duration now) { began_ = now; }
  // Of the last time; what it cost elsewhere may be added later.
  void SetCost(absl::Duration cost) { cost_ = cost; }
  void AddCost(absl::Duration cost) { cost_ += cost; }

 private:
  const int64_t share_;
  const absl::Duration max_interval_;
  absl::Duration began_;
  absl::Duration cost_;
};

}  // namespace millrace
