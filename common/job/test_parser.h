// The `tests:` of a job file, with YAML values made JSON.
#pragma once

#include <string>
#include <vector>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

std::vector<TestSpec> ParseTests(const YamlNode& tests, Format format, YamlReader* reader);

// The node as JSON, keys in the file's order. Unquoted scalars that are JSON numbers, true, false or null are
// those, digit for digit; all others are strings.
std::string ToJson(const YamlNode& node);

}  // namespace millrace
