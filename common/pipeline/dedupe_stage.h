// The `dedupe` stage: the first record of its kind goes on, those like it do not.
//
// Kinds belong to the record's key, so what passes does not depend on how many partitions there are. A kind is
// remembered from the record that was let through, by log time: whether a record passes is decided by comparing
// times, and when a row goes is seen by nobody. So nothing here ever asks for a tick.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/pipeline/lua_sandbox.h"
#include "common/pipeline/stage.h"

namespace millrace {

// REQUIRES: spec.what is a DedupeStage. `lua` and `context` must outlive the stage. INVALID_ARGUMENT when the
// expression does not compile.
absl::StatusOr<std::unique_ptr<Stage>> MakeDedupeStage(const StageSpec& spec, TableId table,
                                                       const JobSpec& job, LuaSandbox* lua,
                                                       StepContext* context);

}  // namespace millrace
