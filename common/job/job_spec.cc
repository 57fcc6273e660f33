#include "common/job/job_spec.h"

#include <algorithm>

namespace millrace {

bool RunsLua(const StageSpec& stage) {
  if (const auto* key_by = std::get_if<KeyByStage>(&stage.what)) {
    return key_by->key.kind == KeySpec::Kind::kLua;
  }
  return !std::holds_alternative<AggregateStage>(stage.what);
}

bool RunsUserCode(const JobSpec& spec) {
  return std::any_of(spec.stages.begin(), spec.stages.end(), RunsLua);
}

}  // namespace millrace
