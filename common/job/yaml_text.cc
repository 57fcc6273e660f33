#include "common/job/yaml_text.h"

#include <cstdint>

namespace millrace {
namespace {

// The length of the UTF-8 sequence that `text` starts with; 0: it starts with none (RFC 3629: no overlong
// forms, no surrogates, nothing beyond U+10FFFF).
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) >= 0xA0;
  const bool beyond = first == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

std::optional<TextProblem> CheckText(std::string_view text) {
  int line = 1, column = 1;
  bool indentation = true;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const char c = text.front();
    if (length == 0) {
      return TextProblem{line, column, "a byte that is not UTF-8", "a job file is UTF-8 text",
                         "save it as UTF-8"};
    }
    if (c == '\t' && indentation) {
      return TextProblem{line, column, "a tab in the indentation", "YAML is indented with spaces",
                         "put spaces there"};
    }
    if ((static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F) {
      return TextProblem{line, column, "a control character", "a job file is text", "take it out"};
    }
    text.remove_prefix(length);
    if (c == '\n') {
      ++line;
      column = 1;
      indentation = true;
    } else {
      ++column;
      if (c != ' ') indentation = false;
    }
  }
  return std::nullopt;
}

}  // namespace millrace
