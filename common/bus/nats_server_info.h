// What a NATS server says of itself: the INFO line with which it greets every connection. The C client keeps
// it to itself.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"

namespace millrace {

// Connects to `url` (nats://host:port), reads the greeting, hangs up.
absl::StatusOr<ServerInfo> ReadServerInfo(const std::string& url, absl::Duration timeout);

}  // namespace millrace
