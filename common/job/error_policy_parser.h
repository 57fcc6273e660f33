// `on_error` and `retry`, of a job and of a stage.
#pragma once

#include <optional>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

// nullopt when `owner` has neither key.
std::optional<ErrorPolicy> ParseErrorPolicy(const YamlNode& owner, YamlReader* reader);

}  // namespace millrace
