#include "worker/checkpoint/selection.h"

#include <algorithm>
#include <functional>

namespace millrace {

std::vector<StartStep> PlanStart(const StartFacts& facts) {
  const auto leads_on = [&](Offset offset) { return offset.value() + 1 >= facts.log_begins_at; };
  const bool local = facts.local.has_value() && leads_on(*facts.local);
  std::vector<CheckpointId> newest_first = facts.checkpoints;
  std::sort(newest_first.begin(), newest_first.end(), std::greater<>());

  std::vector<StartStep> steps;
  for (const CheckpointId& id : newest_first) {
    const bool worth_it = !local || id.offset.value() > facts.local->value() + kReplayRatherThanRestore;
    if (leads_on(id.offset) && worth_it) steps.push_back({StartStep::Kind::kCheckpoint, id});
  }
  if (local) {
    steps.push_back({StartStep::Kind::kLocal, {}});
  } else if (leads_on(Offset(0))) {
    steps.push_back({StartStep::Kind::kReplay, {}});
  }
  return steps;
}

}  // namespace millrace
