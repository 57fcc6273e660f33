// `dedupe: { by: r.id, within: 1h }`
#pragma once

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

DedupeStage ParseDedupe(const YamlNode& value, YamlReader* reader);

}  // namespace millrace
