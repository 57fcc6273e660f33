// Which copies of others' partitions a worker is to keep.
#pragma once

#include <map>

#include "worker/partition/partition_id.h"

namespace millrace {

enum class CopyUrgency {
  kStandby,  // for the day on which the owner is lost
  kAwaited,  // a move waits for it
};
using WantedCopies = std::map<PartitionKey, CopyUrgency>;

}  // namespace millrace
