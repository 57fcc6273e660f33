// A job file from the disk.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/job/job_spec.h"

namespace millrace {

// Reads and parses the file, and compiles what it holds of code: a spec that comes out of here runs.
// INVALID_ARGUMENT, one line, for all that is wrong with it, and for a file that cannot be read.
// `sets` are changes to it, as ParseJob takes them.
absl::StatusOr<JobSpec> LoadJob(const std::string& path, const std::vector<std::string>& sets = {});

}  // namespace millrace
