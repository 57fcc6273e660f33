// Ids that nobody else has, from the system's randomness: for the edges of a process (uids, claimers), never for
// what is simulated.
#pragma once

#include <string>

namespace millrace {

std::string RandomId();  // 16 hex digits

}  // namespace millrace
