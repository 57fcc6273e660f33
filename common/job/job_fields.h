// What a job file says, field by field, as text: for messages that compare two of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/job/job_spec.h"

namespace millrace {

// Path and value of each field, in the order in which differences are told. Comments, the order of keys, defaults
// written out, stage lines and `tests` leave no trace in them.
using JobFields = std::vector<std::pair<std::string, std::string>>;

// All that does not belong to a stage.
JobFields TopFields(const JobSpec& spec);
// `path` stands in front of each: `stages.2`.
JobFields StageFields(const std::string& path, const StageSpec& stage);

}  // namespace millrace
