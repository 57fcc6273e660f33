// Where a worker runs, as people and their clusters call it.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace {

// A zone is told to others and stands in no subject, so it may be what machines are called: a host, a region,
// the value of a label, with dots.
inline constexpr size_t kMaxZoneBytes = 253;  // of a host's name (RFC 1123)
bool IsValidZone(std::string_view zone);

}  // namespace millrace
