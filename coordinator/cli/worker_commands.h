// What the commands do to a worker by way of the leader.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "coordinator/views/cluster.h"

namespace millrace {

enum class DrainVerb { kDrain, kUndo };

// Whether the worker is as the verb wants it: empty and draining, or ready. FAILED_PRECONDITION when it is
// not alive.
absl::StatusOr<bool> IsApplied(const Cluster& cluster, const WorkerSeen& worker, DrainVerb verb);

// Asks for the verb, unless it holds already, and waits until it does. DEADLINE_EXCEEDED: the request stands,
// but the worker has not come to it in time.
absl::Status ApplyDrain(Bus& bus, Clock& clock, const std::string& worker, DrainVerb verb,
                        absl::Duration timeout);

}  // namespace millrace
