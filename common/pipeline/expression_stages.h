// Stages that are one Lua expression over the record: filter, map, flat_map, inspect.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// The record as the stage's code sees it. Both must outlive the input.
LuaInput InputOf(const RecordView& record, const StepContext& context);

// What the stage's chunk evaluates. REQUIRES: as MakeExpressionStage.
std::vector<std::string> ExpressionsOf(const StageSpec& spec);

// REQUIRES: spec.what is a FilterStage, MapStage, FlatMapStage or InspectStage. `lua` and `context` must
// outlive the stage. INVALID_ARGUMENT when an expression does not compile.
absl::StatusOr<std::unique_ptr<Stage>> MakeExpressionStage(const StageSpec& spec,
                                                           const ErrorPolicy& job_errors, LuaSandbox* lua,
                                                           StepContext* context);

}  // namespace millrace
