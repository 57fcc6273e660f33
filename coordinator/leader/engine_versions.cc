#include "coordinator/leader/engine_versions.h"

#include <algorithm>

namespace millrace {

void SpareOldEngines(uint32_t needed, std::vector<PlanWorker>* workers) {
  const bool has_able = std::any_of(workers->begin(), workers->end(), [&](const PlanWorker& worker) {
    return !worker.drains && worker.step_version >= needed;
  });
  if (!has_able) return;
  for (PlanWorker& worker : *workers) worker.drains |= worker.step_version < needed;
}

}  // namespace millrace
