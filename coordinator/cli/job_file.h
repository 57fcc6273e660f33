// A job file from the disk, and the code of a job, with the files that these need.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/job_code.h"
#include "common/code/code_files.h"
#include "common/flags.h"
#include "common/job/job_spec.h"

namespace millrace {

// Reads and parses the file, loads the files that its code consists of, and compiles what it holds of code: a spec that comes
// out of here runs.
// INVALID_ARGUMENT, one line, for all that is wrong with it, and for a file that cannot be read; FAILED_PRECONDITION for a
// plugin. `sets` are changes to it, as ParseJob takes them.
absl::StatusOr<JobSpec> LoadJob(const std::string& path, CodeFiles& files,
                                const std::vector<std::string>& sets = {});

// `--plugins DIR`, for commands that run a job's stages here.
void AddPluginsFlag(Flags& flags, std::string* folder);

// The code of a job that is there, with what it consists of.
absl::StatusOr<JobCode> LoadJobCode(Bus& bus, const JobRecord& job, CodeFiles& files);

}  // namespace millrace
