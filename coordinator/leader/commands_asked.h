// The commands given to one job or to one worker: keys made once, of which the last in order of revision counts.
#pragma once

#include <cstdint>

#include "common/bus/bus.h"
#include "common/cluster/documents.h"

namespace millrace {

struct CommandsAsked {
  Command last;           // in order of revision; without a verb when it cannot be read
  uint64_t revision = 0;  // of the last one
  uint64_t greatest = 0;  // number used

  // Takes the entry of the command of that number, in any order.
  void Add(uint64_t number, const KeyValue& entry);
};

}  // namespace millrace
