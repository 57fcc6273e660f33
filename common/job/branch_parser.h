// `partition: [{ when: EXPR, stages: […] }, { stages: […] }]` and `broadcast: [{ stages: […] }, …]`
#pragma once

#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

// Reads the list of stages of the branch with that position.
using StageListReader = absl::FunctionRef<std::vector<StageSpec>(const YamlNode& stages, size_t branch)>;

BranchStage ParseBranches(const YamlNode& value, BranchStage::Kind kind, StageListReader read_stages,
                          YamlReader* reader);

}  // namespace millrace
