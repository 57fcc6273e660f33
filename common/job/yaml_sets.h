// --set PATH=VALUE on a YAML tree.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "common/job/yaml_tree.h"

namespace millrace {

// Sets what PATH names: keys and positions (from 0) with dots between them. Mappings on the way are made
// where they are missing; lists are not. INVALID_ARGUMENT, one line.
absl::Status ApplySet(std::string_view set, YamlNode* root);

}  // namespace millrace
