// The `lookup` stage of a job file.
#pragma once

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

LookupStage ParseLookup(const YamlNode& value, YamlReader* reader);

}  // namespace millrace
