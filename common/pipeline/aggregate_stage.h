// The `aggregate` stage: built-in state for each key, and when it is emitted.
#pragma once

#include <memory>

#include "common/pipeline/stage.h"
#include "common/pipeline/state_expiry.h"

namespace millrace {

// REQUIRES: spec.what is an AggregateStage.
std::unique_ptr<Stage> MakeAggregateStage(const StageSpec& spec, TableId table, StateExpiry expiry,
                                          const ErrorPolicy& job_errors, StepContext* context);

}  // namespace millrace
