#include "common/job/job_spec.h"

#include <algorithm>

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
  return !std::holds_alternative<AggregateStage>(stage.what);
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
  return std::any_of(spec.stages.begin(), spec.stages.end(), RunsLua);
}

}  // namespace millrace
