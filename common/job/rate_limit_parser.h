// `rate_limit: { rate: 100/s, burst: 200, per: key, excess: wait }`
#pragma once

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

RateLimitStage ParseRateLimit(const YamlNode& value, YamlReader* reader);

}  // namespace millrace
