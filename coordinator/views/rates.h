// How fast counters rise that are looked at now and then.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace millrace {

// Owners say their counters with their leases, in steps: a rate over less than a few of them would jump.
inline constexpr absl::Duration kRateWindow = absl::Seconds(10);
inline constexpr size_t kMaxRateLooks = 64;  // kept of each counter

// Not thread-safe.
class Rates {
 public:
  // The counter stands at `count`. `now`: a monotonic clock's, never less than the last time.
  void Note(absl::Duration now, const std::string& name, uint64_t count);
  // A second, over the last kRateWindow. nullopt: it was seen once only, or begins anew.
  std::optional<double> PerSecond(std::string_view name) const;

 private:
  struct Look {
    absl::Duration at;
    uint64_t count = 0;
  };
  std::map<std::string, std::deque<Look>, std::less<>> looks_;
};

}  // namespace millrace
