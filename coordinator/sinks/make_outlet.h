// The outlet of a job's sink.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus_maker.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/job/job_spec.h"
#include "coordinator/sinks/outlet.h"

namespace millrace {

struct SinkJob {
  JobRecord record;
  SinkSpec sink;
};

// The bus, the clock and what `stopping` looks at outlive it; a request that waits for its answer ends when that turns
// true. `connect` gives it a connection of its own, where it needs one: its error is the
// answer.
// REQUIRES: job.sink.goes_out().
absl::StatusOr<std::unique_ptr<Outlet>> MakeOutlet(const SinkJob& job, Bus& bus, const BusMaker& connect,
                                                   Clock& clock, std::function<bool()> stopping);

}  // namespace millrace
