// The `rate_limit` stage: a token bucket for each key, or for each partition's share of the whole stage.
//
// `drop` and `dead_letter` decide what comes out, so their buckets fill by log time and lie in the state. `wait`
// decides only when, and is the shell's (rate_pacer.h): the Step stops in front of the record.
#pragma once

#include <memory>

#include "common/pipeline/stage.h"

namespace millrace {

// REQUIRES: spec.what is a RateLimitStage. With `wait` it keeps no state, and `table` stays free.
std::unique_ptr<Stage> MakeRateLimitStage(const StageSpec& spec, TableId table, const JobSpec& job,
                                          StepContext* context);

}  // namespace millrace
