#include "common/job/job_spec.h"

#include <algorithm>

namespace millrace {

bool RunsUserCode(const JobSpec& spec) {
  return std::any_of(spec.stages.begin(), spec.stages.end(), [](const StageSpec& stage) {
    return !std::holds_alternative<AggregateStage>(stage.what);
  });
}

}  // namespace millrace
