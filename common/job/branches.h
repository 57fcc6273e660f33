// The stages of a job that has branches, seen as one list.
#pragma once

#include <vector>

#include "common/job/job_spec.h"

namespace millrace {

// Null: the stage has none.
const std::vector<BranchSpec>* BranchesOf(const StageSpec& stage);

// All of them in the file's order: a stage, then those in its branches, then what is behind it.
std::vector<const StageSpec*> AllStages(const std::vector<StageSpec>& stages);

}  // namespace millrace
