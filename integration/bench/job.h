// The benchmark's job, made as `coordinator submit` makes one.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "integration/bench/workload.h"

namespace millrace::bench {

// The running-total job of this name; the one that is there already, if it has as many partitions.
absl::StatusOr<JobRecord> MakeJob(Bus& bus, const std::string& name, uint32_t partitions,
                                  Segments segments = Segments::kOne);

}  // namespace millrace::bench
