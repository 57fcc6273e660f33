// The brokers of a run: how each is configured, and what is asked of them from outside.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/chaos/plain_nats.h"

namespace millrace::chaos {

struct BrokerSpec {
  std::string name, store;
  uint16_t port = 0, route_port = 0;
};

// The least that nats-server allows; it sends its clients away over this time.
inline constexpr char kLameDuckDuration[] = "30s";

// The configuration file of brokers[index]: alone, or one of a cluster. Clients are not told of the others,
// because a worker's way to them is the link that faults act on.
std::string BrokerConfig(const std::vector<BrokerSpec>& brokers, size_t index);

// Makes a stream with so many copies, into which nothing but Acknowledges ever appends. OK: the brokers have
// found each other and keep what they are given.
absl::Status MakeProbe(PlainNats& nats, int64_t copies);
// Whether an append to it is acknowledged within a second.
bool Acknowledges(PlainNats& nats);

// How many streams that broker leads, and how many there are; 0 of 0 when nobody says.
struct Led {
  int64_t streams = 0, of = 0;
};
Led StreamsLed(PlainNats& nats, const std::string& broker);
// The broker that leads the stream; empty: none does, or nobody says.
std::string LeaderOfStream(PlainNats& nats, const std::string& stream);

}  // namespace millrace::chaos
