#include "common/handler/handler_stages.h"

#include "common/job/branches.h"

namespace millrace {

std::vector<HandlerStage> HandlerStagesOf(const JobSpec& spec, const std::string& uid) {
  std::vector<HandlerStage> stages;
  for (const StageSpec* const stage : AllStages(spec.stages)) {
    const std::string& endpoint = RemoteOf(*stage);
    if (endpoint.empty()) continue;
    const bool keyed = std::holds_alternative<KeyedStage>(stage->what);
    stages.push_back({endpoint, spec.name, uid, stage->code.name,
                      keyed ? HandlerMode::kKeyed : HandlerMode::kStateless, stage->code.timeout});
  }
  return stages;
}

}  // namespace millrace
