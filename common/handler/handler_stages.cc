#include "common/handler/handler_stages.h"

#include <memory>
#include <utility>

#include "common/job/branches.h"
#include "common/job/job_fields.h"
#include "common/strings.h"

namespace millrace {
namespace {

std::string CodeText(const StageSpec& stage) {
  std::string text = StrCat(stage.code.place.line);  // messages name it
  for (const auto& [name, value] : StageFields("", stage)) StrAppend(&text, "\n", name, " ", value);
  return text;
}

HandlerStage StageFor(const JobSpec& spec, const std::string& uid, const StageSpec& stage) {
  HandlerStage made;
  made.endpoint = RemoteOf(stage);
  made.job = spec.name;
  made.uid = uid;
  made.name = stage.code.name;
  made.mode = std::holds_alternative<KeyedStage>(stage.what) ? HandlerMode::kKeyed : HandlerMode::kStateless;
  made.timeout = stage.code.timeout;
  made.concurrency = stage.code.concurrency;
  made.ordered = stage.code.ordered;
  if (!made.endpoint.empty()) return made;
  made.lua = std::make_shared<const StageSpec>(stage);
  made.code = CodeText(stage);
  return made;
}

}  // namespace

std::vector<HandlerStage> HandlerStagesOf(const JobSpec& spec, const std::string& uid, PooledLua pooled_lua) {
  std::vector<HandlerStage> stages;
  for (const StageSpec* const stage : AllStages(spec.stages)) {
    if (const auto* call = std::get_if<CallStage>(&stage->what)) {
      HandlerStage& service = stages.emplace_back();
      service.endpoint = StrCat(kHttpEndpoint, stage->code.name);
      service.job = spec.name;
      service.uid = uid;
      service.name = stage->code.name;
      service.mode = HandlerMode::kStateless;
      service.timeout = stage->code.timeout;
      service.http = std::make_shared<const CallStage>(*call);
      service.code = CodeText(*stage);  // each version has its own pool: secrets are for its own service
      continue;
    }
    const bool in_threads = pooled_lua == PooledLua::kInThreads && RunsInThreads(*stage);
    if (in_threads || !RemoteOf(*stage).empty()) stages.push_back(StageFor(spec, uid, *stage));
  }
  return stages;
}

}  // namespace millrace
