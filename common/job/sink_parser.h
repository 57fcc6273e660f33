// `sink:` of a job file.
#pragma once

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

// `source`: of the same job, which must not be fed its own results.
SinkSpec ParseSink(const YamlNode& value, const SourceSpec& source, YamlReader* reader);

}  // namespace millrace
