// What this process uses of the machine, from /proc.
#pragma once

#include <cstdint>

namespace millrace {

struct ProcessUsage {
  double cpu_seconds = 0;  // user and system, since the start
  uint64_t resident_bytes = 0;
};
ProcessUsage ReadProcessUsage();

// Cores that this process may use: the cgroup's quota where there is one, else what the scheduler lets it run
// on. At least 1.
uint32_t AvailableCores();

}  // namespace millrace
