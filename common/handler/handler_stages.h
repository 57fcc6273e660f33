// Which stages of a job run in pools.
#pragma once

#include <string>
#include <vector>

#include "common/handler/handler_call.h"
#include "common/job/job_spec.h"

namespace millrace {

// Where Lua code runs that has `concurrency`: the outcome is the same.
enum class PooledLua { kInThreads, kWithItsPartition };

// In the job's order. `uid`: the job's.
std::vector<HandlerStage> HandlerStagesOf(const JobSpec& spec, const std::string& uid,
                                          PooledLua pooled_lua = PooledLua::kWithItsPartition);

}  // namespace millrace
