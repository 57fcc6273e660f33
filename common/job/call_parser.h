// `call:` of a stage, and the settings beside it.
#pragma once

#include <optional>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

inline constexpr int64_t kMaxCallConcurrency = 1024;
inline constexpr absl::Duration kCallTimeout = absl::Seconds(10);  // unless the file says otherwise

CallStage ParseCall(const YamlNode& stage, YamlReader* reader);
// What becomes of a record whose request failed for good; `retry` beside it is the request's.
std::optional<ErrorPolicy> ParseCallErrors(const YamlNode& stage, YamlReader* reader);

}  // namespace millrace
