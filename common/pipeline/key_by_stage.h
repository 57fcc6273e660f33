// `key_by`: the record goes on under another key. The last stage of its segment.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// `lua` may be null where the key is no expression. INVALID_ARGUMENT when it does not compile.
absl::StatusOr<std::unique_ptr<Stage>> MakeKeyByStage(const StageSpec& spec, const ErrorPolicy& job_errors,
                                                      LuaSandbox* lua, StepContext* context);

}  // namespace millrace
