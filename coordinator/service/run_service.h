// The coordinator's service from start to end, on the calling thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/flags.h"
#include "coordinator/scaling/worker_wish.h"

namespace millrace {

struct ServiceOptions {
  CommonOptions connection;
  std::string http = "127.0.0.1:8222";
  absl::Duration lease_ttl = absl::Seconds(15);
  int64_t replicas = 1;  // of the buckets, where they are made; 1, 3 or 5
  ScalingOptions scaling;
};

// Serves HTTP at once, waits for NATS for ever, makes the buckets, and turns the loop until a stop signal.
// Fails only when it cannot serve HTTP.
absl::Status RunService(const ServiceOptions& options, Clock& clock);

}  // namespace millrace
