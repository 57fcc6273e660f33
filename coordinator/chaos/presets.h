// The scenarios that come with the executable: the files of coordinator/chaos/scenarios, as they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace::chaos {

struct Preset {
  std::string_view name;
  std::string_view text;
};

// In order of their names.
const std::vector<Preset>& Presets();
// NOT_FOUND with the near miss.
absl::StatusOr<Preset> FindPreset(std::string_view name);

}  // namespace millrace::chaos
