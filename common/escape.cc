#include "common/escape.h"

#include <cstdint>

#include "absl/strings/str_format.h"

namespace millrace {

std::string EscapeControls(std::string_view text) {
  constexpr uint8_t kC1Lead = 0xC2;  // in UTF-8 of U+0080 to U+009F, where U+009B is another ESC [
  std::string shown;
  shown.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<uint8_t>(text[i + 1]) : uint8_t{0};
    if (byte == '\n') {
      shown += "\\n";
    } else if (byte == '\r') {
      shown += "\\r";
    } else if (byte == '\t') {
      shown += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      shown += absl::StrFormat("\\x%02x", byte);
    } else if (byte == kC1Lead && next >= 0x80 && next < 0xA0) {
      shown += absl::StrFormat("\\x%02x", next);
      ++i;
    } else {
      shown += text[i];
    }
  }
  return shown;
}

}  // namespace millrace
