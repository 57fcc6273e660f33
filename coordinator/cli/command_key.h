// How the command line asks the leader for something: a key made once, applied in order of revision.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"

namespace millrace {

inline constexpr int kMaxCommandTries = 100;  // numbers that others took first

// Makes the next free `<prefix><n>` behind number `used`. Another command line may take the same number
// first.
absl::Status MakeCommandKey(Bus& bus, const std::string& prefix, uint64_t used, const Command& command);

}  // namespace millrace
