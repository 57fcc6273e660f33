#include "common/cluster/numbered_key.h"

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"

namespace millrace {

std::optional<NumberedKey> ParseNumberedKey(std::string_view key, std::string_view prefix, int numbers) {
  if (!key.starts_with(prefix)) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(ToAbsl(key.substr(prefix.size())), '.');
  NumberedKey parsed;
  if (static_cast<int>(parts.size()) != numbers) return std::nullopt;
  if (!absl::SimpleAtoi(parts[0], &parsed.first)) return std::nullopt;
  if (numbers == 2 && !absl::SimpleAtoi(parts[1], &parsed.second)) return std::nullopt;
  return parsed;
}

}  // namespace millrace
