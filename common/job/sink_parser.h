// `sink:` of a job file.
#pragma once

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

SinkSpec ParseSink(const YamlNode& value, YamlReader* reader);

}  // namespace millrace
