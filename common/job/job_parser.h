// From the text of a job file to a JobSpec.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/job/job_spec.h"

namespace millrace {

// `sets` are PATH=VALUE, applied in order before the file is judged: `partitions=4`, `source.format=csv`,
// `stages.1.emit=final` (positions in a list count from 0; the value is YAML). The spec's `text` then is the
// file with them applied: parsed again without any, it gives the same spec.
//
// INVALID_ARGUMENT, exactly one line: `FILE:LINE:COLUMN: what — why — what to try`. Bounded in time and
// memory whatever the text. Expressions are checked when the pipeline compiles them, not here.
absl::StatusOr<JobSpec> ParseJob(std::string_view file_name, std::string_view text,
                                 const std::vector<std::string>& sets = {});

}  // namespace millrace
