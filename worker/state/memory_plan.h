// How a worker's memory for state is shared out.
#pragma once

#include <cstddef>

#include "common/state/partition_db.h"

namespace millrace {

struct MemoryPlan {
  DbResources::Options db;     // of the process
  size_t partition_bytes = 0;  // StateStore's budget for each partition
};

// A fifth goes to the block cache (with indexes, filters and write buffers inside), the rest to the
// partitions' maps. What `total_bytes` does not count: the allocator's waste, RocksDB's own buffers while it
// writes and compacts, and everything that is not state. The share is a choice, not a measurement.
MemoryPlan PlanMemory(size_t total_bytes, size_t partitions);

}  // namespace millrace
