// A job file's own tests: records in, results expected.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/job/job_spec.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

struct JobTestOutcome {
  bool passed = false;
  std::string report;  // where it differs: lines, each ended; empty when it passed
};

// Runs one test; `observer` (not owned, may be null) is told of calls of user code. INVALID_ARGUMENT when the
// test itself cannot be run (an expectation that is no JSON).
absl::StatusOr<JobTestOutcome> RunJobTest(const JobSpec& spec, const TestSpec& test,
                                          CallObserver* observer = nullptr);

// Two lists of lines side by side: `=` the same, `!` different, `-` did not come, `+` was not expected.
std::string AlignedDiff(const std::vector<std::string>& expected, const std::vector<std::string>& got);

}  // namespace millrace
