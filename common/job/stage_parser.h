// The `stages:` of a job file.
#pragma once

#include <vector>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

std::vector<StageSpec> ParseStages(const YamlNode& stages, YamlReader* reader);

// Of an expression or code. REQUIRES: scalar.IsScalar().
CodePlace CodePlaceOf(const YamlNode& scalar);

}  // namespace millrace
