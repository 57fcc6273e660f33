#include "common/zone.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace millrace {

bool IsValidZone(std::string_view zone) {
  return !zone.empty() && zone.size() <= kMaxZoneBytes && std::all_of(zone.begin(), zone.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

}  // namespace millrace
