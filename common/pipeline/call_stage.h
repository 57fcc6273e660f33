// `call: { http: … }`: a service is asked about each record, and what it answers goes into the record's new value.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// INVALID_ARGUMENT when an expression does not compile. REQUIRES: spec.what is a CallStage, asked through
// context->calls. `lua` and `context` must outlive the stage.
absl::StatusOr<std::unique_ptr<Stage>> MakeCallStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                     LuaSandbox* lua, StepContext* context);

}  // namespace millrace
