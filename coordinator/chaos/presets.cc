#include "coordinator/chaos/presets.h"

#include "chaos_presets.inc"  // made by presets.cmake
#include "common/strings.h"
#include "common/units.h"

namespace millrace::chaos {

const std::vector<Preset>& Presets() {
  static const auto& presets = *new std::vector<Preset>(std::begin(kPresetFiles), std::end(kPresetFiles));
  return presets;
}

absl::StatusOr<Preset> FindPreset(std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& preset : Presets()) {
    if (preset.name == name) return preset;
    names.emplace_back(preset.name);
  }
  const std::string near = NearMiss(std::string(name), names);
  return absl::NotFoundError(StrCat(
      "--preset ", name, " — there is none of that name — ",
      near.empty() ? std::string("try `coordinator chaos --list`") : StrCat("did you mean `", near, "`?")));
}

}  // namespace millrace::chaos
