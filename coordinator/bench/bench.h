// Measures a running cluster with a job of its own: how many records a second go through it, and how long one
// takes when there is room.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "nlohmann/json.hpp"

namespace millrace {

struct BenchOptions {
  std::string job;  // a name of its own; the caller deletes it afterwards
  std::string uid;
  uint64_t records = 1'000'000;
  uint64_t keys = 10'000;
  uint32_t partitions = 16;
  uint32_t frame_records = 100;
};

struct BenchReport {
  uint64_t records = 0;
  // From the first record's append to the last result; when it is appended every partition has an owner.
  double seconds = 0;
  std::vector<absl::Duration> latencies;  // from append to result, sorted
  absl::Duration Percentile(double share) const;
};
nlohmann::ordered_json ToJson(const BenchReport& report);

// Creates the job, feeds numbered records as frames, and waits for a result for each. Uses the bus's Poll.
// DEADLINE_EXCEEDED: results stopped coming (is there a worker?); CANCELLED: a stop signal.
absl::StatusOr<BenchReport> RunBenchmark(Bus& bus, Clock& clock, const BenchOptions& options);

}  // namespace millrace
