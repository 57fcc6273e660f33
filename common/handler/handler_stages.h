// Which stages of a job run in handler processes.
#pragma once

#include <string>
#include <vector>

#include "common/handler/handler_call.h"
#include "common/job/job_spec.h"

namespace millrace {

// In the job's order. `uid`: the job's.
std::vector<HandlerStage> HandlerStagesOf(const JobSpec& spec, const std::string& uid);

}  // namespace millrace
