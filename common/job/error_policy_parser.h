// `on_error` and `retry`, of a job and of a stage.
#pragma once

#include <optional>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

inline constexpr int kDefaultRetryAttempts = 3;

// Without `attempts` there are kDefaultRetryAttempts.
RetrySpec ParseRetry(const YamlNode& value, YamlReader* reader);
// nullopt when `owner` has neither key.
std::optional<ErrorPolicy> ParseErrorPolicy(const YamlNode& owner, YamlReader* reader);

}  // namespace millrace
