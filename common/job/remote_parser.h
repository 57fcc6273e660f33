// `remote: ENDPOINT`: where handler processes are served that do a stage's work.
#pragma once

#include <string>
#include <vector>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

std::string ParseRemote(const YamlNode& value, YamlReader* reader);

// Each stage needs an endpoint of its own. `stages`: of the whole job.
absl::Status CheckRemotes(const std::vector<StageSpec>& stages);

}  // namespace millrace
