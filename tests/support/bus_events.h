// Waiting for what a bus has to say. With a limit that is far beyond what any machine needs.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "absl/time/clock.h"
#include "common/bus/bus.h"

namespace millrace {

inline constexpr absl::Duration kEventLimit = absl::Seconds(30);

// The next event; a failure when none comes.
inline BusEvent NextEvent(Bus& bus) {
  std::vector<BusEvent> events;
  const absl::Time end = absl::Now() + kEventLimit;
  while (events.empty() && absl::Now() < end) bus.Poll(absl::Seconds(1), 1, &events);
  EXPECT_FALSE(events.empty()) << "nothing happened";
  return events.empty() ? BusEvent{} : std::move(events.front());
}

// The next event of that type; others are passed over.
inline BusEvent NextEvent(Bus& bus, BusEvent::Type type) {
  const absl::Time end = absl::Now() + kEventLimit;
  while (absl::Now() < end) {
    BusEvent event = NextEvent(bus);
    if (event.type == type) return event;
  }
  ADD_FAILURE() << "no such event";
  return BusEvent{};
}

// The next `count` messages; other events are passed over.
inline std::vector<Message> PollMessages(Bus& bus, size_t count) {
  std::vector<Message> messages;
  std::vector<BusEvent> events;
  const absl::Time end = absl::Now() + kEventLimit;
  while (messages.size() < count && absl::Now() < end) {
    events.clear();
    bus.Poll(absl::Seconds(1), count - messages.size(), &events);
    for (BusEvent& event : events) {
      EXPECT_NE(event.type, BusEvent::Type::kReaderError) << event.status;
      if (event.type == BusEvent::Type::kMessage) messages.push_back(std::move(event.message));
    }
  }
  return messages;
}

// That nothing comes can only be seen for a while.
inline bool StaysQuiet(Bus& bus, absl::Duration a_while = absl::Milliseconds(150)) {
  std::vector<BusEvent> events;
  bus.Poll(a_while, 1, &events);
  return events.empty();
}

}  // namespace millrace
