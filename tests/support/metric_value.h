// A metric as /metrics would show it.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_split.h"

namespace millrace {

// The value of the first series of that name, whatever its labels; nullopt: there is none.
inline std::optional<double> MetricValue(const std::string& text, std::string_view name) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    const bool same = line.starts_with(name) && line.size() > name.size() &&
                      (line[name.size()] == '{' || line[name.size()] == ' ');
    if (same) return std::strtod(line.c_str() + line.rfind(' '), nullptr);
  }
  return std::nullopt;
}

}  // namespace millrace
