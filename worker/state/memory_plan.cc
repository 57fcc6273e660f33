#include "worker/state/memory_plan.h"

#include <algorithm>

namespace millrace {

MemoryPlan PlanMemory(size_t total_bytes, size_t partitions) {
  constexpr size_t kLeastCacheBytes = 4 << 20;
  constexpr size_t kLeastWriteBufferBytes = 1 << 20;
  constexpr size_t kMostWriteBufferBytes = 64 << 20;
  constexpr size_t kLeastPartitionBytes = 256 << 10;

  MemoryPlan plan;
  plan.db.block_cache_bytes = std::max(total_bytes / 5, kLeastCacheBytes);
  plan.db.write_buffer_bytes =
      std::clamp(plan.db.block_cache_bytes / 4, kLeastWriteBufferBytes, kMostWriteBufferBytes);
  const size_t left = total_bytes - std::min(total_bytes, plan.db.block_cache_bytes);
  plan.partition_bytes = std::max(left / std::max<size_t>(partitions, 1), kLeastPartitionBytes);
  return plan;
}

}  // namespace millrace
