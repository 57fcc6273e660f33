// `filter`, `map` and `flat_map` whose Lua code runs in a pool's threads: what they hand on is the same.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// REQUIRES: RunsInPool(spec, *context), and spec.what is one of the three. `context` must outlive the stage.
// INVALID_ARGUMENT: its code does not compile.
absl::StatusOr<std::unique_ptr<Stage>> MakePooledStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                       LuaSandbox* lua, StepContext* context);

}  // namespace millrace
