// The job's `key:`, and that of a `key_by` stage.
#pragma once

#include <string_view>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

// A field, a path, a list of them, or an expression behind `lua:`. `field`: what stands in front of it, for
// messages.
KeySpec ParseKey(const YamlNode& value, std::string_view field, YamlReader* reader);

}  // namespace millrace
