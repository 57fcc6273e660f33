// A cluster whose workers are of several releases.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/leader/plan.h"

namespace millrace {

// Marks those workers as draining whose engine cannot run all jobs, of which one needs `needed`: others run them.
// As long as no other is ready, nothing is marked, and such a worker says itself which job it cannot run. Pure.
void SpareOldEngines(uint32_t needed, std::vector<PlanWorker>* workers);

}  // namespace millrace
