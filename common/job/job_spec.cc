#include "common/job/job_spec.h"

#include <algorithm>

#include "common/job/branches.h"
#include "common/strings.h"

namespace millrace {

absl::Status AtPlace(std::string_view place, const absl::Status& status) {
  if (status.ok() || place.empty()) return status;
  return absl::Status(status.code(), StrCat(place, ": ", status.message()));
}

bool RunsLua(const StageSpec& stage) {
  if (const auto* key_by = std::get_if<KeyByStage>(&stage.what)) {
    return key_by->key.kind == KeySpec::Kind::kLua;
  }
  if (const auto* branches = std::get_if<BranchStage>(&stage.what)) {
    return std::any_of(branches->branches.begin(), branches->branches.end(),
                       [](const BranchSpec& branch) { return !branch.when.empty(); });
  }
  return !std::holds_alternative<AggregateStage>(stage.what) &&
         !std::holds_alternative<WindowStage>(stage.what) &&
         !std::holds_alternative<RateLimitStage>(stage.what) && RemoteOf(stage).empty() &&
         PluginOf(stage) == nullptr;
}

bool KeepsState(const StageSpec& stage) {
  if (const auto* limit = std::get_if<RateLimitStage>(&stage.what)) {
    return limit->excess != RateLimitStage::Excess::kWait;
  }
  return std::holds_alternative<AggregateStage>(stage.what) ||
         std::holds_alternative<KeyedStage>(stage.what) || std::holds_alternative<WindowStage>(stage.what) ||
         std::holds_alternative<DedupeStage>(stage.what);
}

std::string RateText(const RateLimitStage& limit) {
  return StrCat(limit.count, limit.period == absl::Seconds(1)   ? "/s"
                             : limit.period == absl::Minutes(1) ? "/m"
                                                                : "/h");
}

const std::string& RemoteOf(const StageSpec& stage) {
  static const auto& none = *new std::string();
  if (const auto* keyed = std::get_if<KeyedStage>(&stage.what)) return keyed->remote;
  if (const auto* flat_map = std::get_if<FlatMapStage>(&stage.what)) return flat_map->remote;
  return none;
}

const PluginSpec* PluginOf(const StageSpec& stage) {
  const PluginSpec* plugin = nullptr;
  if (const auto* keyed = std::get_if<KeyedStage>(&stage.what)) plugin = &keyed->plugin;
  if (const auto* flat_map = std::get_if<FlatMapStage>(&stage.what)) plugin = &flat_map->plugin;
  return plugin == nullptr || plugin->file.empty() ? nullptr : plugin;
}

bool HasTables(const JobSpec& spec) {
  const std::vector<const StageSpec*> stages = AllStages(spec.stages);
  return std::any_of(stages.begin(), stages.end(),
                     [](const StageSpec* stage) { return std::holds_alternative<LookupStage>(stage->what); });
}

bool CanRunInPool(const StageSpec& stage) {
  if (PluginOf(stage) != nullptr) return false;
  return std::holds_alternative<KeyedStage>(stage.what) || std::holds_alternative<FilterStage>(stage.what) ||
         std::holds_alternative<MapStage>(stage.what) || std::holds_alternative<FlatMapStage>(stage.what);
}

bool RunsInThreads(const StageSpec& stage) {
  return stage.code.concurrency > 1 && CanRunInPool(stage) && RunsLua(stage);
}

std::string_view AggregateFunctionName(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::kCount:
      return "count";
    case AggregateFunction::kSum:
      return "sum";
    case AggregateFunction::kMin:
      return "min";
    case AggregateFunction::kMax:
      return "max";
    case AggregateFunction::kAvg:
      return "avg";
    case AggregateFunction::kFirst:
      return "first";
    case AggregateFunction::kLast:
      return "last";
    case AggregateFunction::kDistinct:
      return "distinct";
  }
  return "?";
}

bool RunsUserCode(const JobSpec& spec) {
  const std::vector<const StageSpec*> stages = AllStages(spec.stages);
  return std::any_of(stages.begin(), stages.end(), [](const StageSpec* stage) {
    return RunsLua(*stage) || !RemoteOf(*stage).empty() || PluginOf(*stage) != nullptr;
  });
}

}  // namespace millrace
