// --set PATH=VALUE on a YAML tree.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/job/yaml_tree.h"

namespace millrace {

// How messages name it: `--set PATH=VALUE`, shortened.
std::string SetName(std::string_view set);

// Sets what PATH names: keys and positions (from 0) with dots between them. Mappings on the way are made
// where they are missing; lists are not. `number`: which of all --set it is, for the nodes that come of it.
// INVALID_ARGUMENT, one line.
absl::Status ApplySet(std::string_view set, size_t number, YamlNode* root);

}  // namespace millrace
