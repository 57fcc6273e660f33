// What can happen to the appends of a process, at random: held back, let go, lost, as their acks are; time that
// passes, a connection that is lost.
#pragma once

#include <random>

#include "common/clock.h"
#include "tests/support/memory_bus.h"

namespace millrace {

inline void DisturbAtRandom(std::mt19937& random, ManualClock& clock, MemoryBus& bus) {
  switch (random() % 12) {
    case 0:
      return bus.HoldAppends();
    case 1:
      return bus.ReleaseAppends(random() % 4);
    case 2:
      return bus.DropHeldAppends();
    case 3:
      return bus.HoldAcks();
    case 4:
      return bus.DropHeldAcks();
    case 5:
      return bus.ReleaseAcks();
    case 6:
      return clock.Advance(absl::Seconds(3));
    case 7:
      bus.Disconnect();
      return bus.Reconnect();
    default:
      return;
  }
}

}  // namespace millrace
