// What a text must be before a YAML parser may see it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace {

struct TextProblem {
  int line = 0, column = 0;  // from 1; columns in characters
  std::string what, why, attempt;
};

// The first byte that is not UTF-8, control character, or tab in an indentation; nullopt when there is none.
std::optional<TextProblem> CheckText(std::string_view text);

}  // namespace millrace
