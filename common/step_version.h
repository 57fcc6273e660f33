// The version of what a Step does: it grows whenever the same log would give another state or other outputs
// under the same job file. A job, and each update of it, says for which version it was made; an engine runs
// those up to its own, each as it was, and refuses later ones.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace millrace {

inline constexpr uint32_t kStepVersion = 1;

// This process's: kStepVersion. Builds with test hooks take MILLRACE_STEP_VERSION from the environment, so that
// a cluster of several can be tried.
uint32_t StepVersion();

// FAILED_PRECONDITION, with what to do: the code is for a later engine than one of version `own`.
absl::Status CheckStepVersion(uint32_t needed, uint32_t own);

}  // namespace millrace
