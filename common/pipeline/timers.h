// Timers of a keyed stage: what an entry of their ordered set says.
//
// Entries sort by due time, then by key, as bytes: that is the order in which they fire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/pipeline/state.h"

namespace millrace {

// Timers that on_timer sets after the end of the input fire too, in rounds of those pending at its start;
// what is then still pending becomes a dead letter. (`ending` tells on_timer not to set itself again.)
inline constexpr int kMaxEndTimerRounds = 100;

struct Timer {
  int64_t due_ms = 0;
  std::string_view key;
};

std::string EncodeTimer(const Timer& timer);
// DATA_LOSS when the entry is too short. The key is a view into `item`.
absl::Status DecodeTimer(std::string_view item, Timer* timer);

// The first timer's due time; kEndOfTime when there is none.
int64_t FirstDueMs(const OrderedSet& timers);

// When a timer asked for at `wanted_ms` fires. One that is already past fires at the clock's next advance and
// not within this one, so that a timer that sets itself again cannot hold the Step for ever.
int64_t ClampDue(int64_t wanted_ms, int64_t now_ms);

}  // namespace millrace
