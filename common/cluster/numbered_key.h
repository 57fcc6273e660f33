// Keys that end in numbers: term.<n>, assign.<term>.<n>, cmd.<uid>.<n>.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace {

// "assign.3.7" with prefix "assign." and two numbers is {3, 7}. For "term.3", `second` stays 0.
struct NumberedKey {
  uint64_t first = 0;
  uint64_t second = 0;
  auto operator<=>(const NumberedKey&) const = default;
};

// REQUIRES: numbers is 1 or 2. nullopt for anything else than `prefix` and so many numbers.
std::optional<NumberedKey> ParseNumberedKey(std::string_view key, std::string_view prefix, int numbers);

}  // namespace millrace
