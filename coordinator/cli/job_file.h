// A job file from the disk.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/job/job_spec.h"

namespace millrace {

// Reads and parses the file, and compiles what it holds of code: a spec that comes out of here runs.
// INVALID_ARGUMENT, one line, for all that is wrong with it, and for a file that cannot be read.
absl::StatusOr<JobSpec> LoadJob(const std::string& path);

}  // namespace millrace
