// The `lookup` stage: a row of a table joins each record.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// REQUIRES: spec.what is a LookupStage. `lua` and `context` must outlive the stage. INVALID_ARGUMENT: the expression does not
// compile; FAILED_PRECONDITION: the table was not loaded (common/code/code_files.h).
absl::StatusOr<std::unique_ptr<Stage>> MakeLookupStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                       LuaSandbox* lua, StepContext* context);

}  // namespace millrace
