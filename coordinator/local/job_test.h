// A job file's own tests: records in, results expected.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/job/job_spec.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/local/local_handlers.h"

namespace millrace {

struct JobTestOutcome {
  bool passed = false;
  std::string report;  // where it differs: lines, each ended; empty when it passed
};

// Runs one test; `observer` and `handlers` as in LocalRun. INVALID_ARGUMENT when the test itself cannot be run (an
// expectation that is no JSON), UNAVAILABLE when no handler came.
absl::StatusOr<JobTestOutcome> RunJobTest(const JobSpec& spec, const TestSpec& test,
                                          CallObserver* observer = nullptr,
                                          LocalHandlers* handlers = nullptr);

// Two lists of lines side by side: `=` the same, `!` different, `-` did not come, `+` was not expected.
std::string AlignedDiff(const std::vector<std::string>& expected, const std::vector<std::string>& got);

}  // namespace millrace
