// How a worker's memory for state is shared out.
#pragma once

#include <cstddef>

#include "worker/state/partition_db.h"

namespace millrace {

struct MemoryPlan {
  DbResources::Options db;     // of the process
  size_t partition_bytes = 0;  // StateStore's budget for each partition
};

// A fifth goes to the block cache (with indexes, filters and write buffers inside), the rest to the
// partitions' maps: a key in a map costs a tenth of what it costs in a block. The process as a whole takes
// about twice `total_bytes`: the allocator's waste, commits on their way, and everything that is not state.
MemoryPlan PlanMemory(size_t total_bytes, size_t partitions);

}  // namespace millrace
