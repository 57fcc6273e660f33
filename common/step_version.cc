#include "common/step_version.h"

#include <cstdlib>

#include "common/build_config.h"
#include "common/strings.h"

namespace millrace {

uint32_t StepVersion() {
#if MILLRACE_TEST_HOOKS
  static const uint32_t version = [] {
    const char* const text = std::getenv("MILLRACE_STEP_VERSION");
    return text == nullptr ? kStepVersion : static_cast<uint32_t>(std::atoi(text));
  }();
  return version;
#else
  return kStepVersion;
#endif
}

absl::Status CheckStepVersion(uint32_t needed, uint32_t own) {
  if (needed <= own) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("its code is for step version ", needed, " of the engine, and this one has version ", own,
             " — it was made by a later release — try a worker and a coordinator of that release"));
}

}  // namespace millrace
