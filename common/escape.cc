#include "common/escape.h"

#include <algorithm>
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

std::string WithoutPasswords(std::string_view urls) {
  std::string shown;
  for (size_t begin = 0; begin <= urls.size();) {
    const size_t end = std::min(urls.find(',', begin), urls.size());
    std::string_view url = urls.substr(begin, end - begin);
    if (begin > 0) shown += ',';
    const size_t at = url.rfind('@');
    if (at != std::string_view::npos) {
      const size_t scheme = url.find("://");
      const size_t user = scheme == std::string_view::npos ? 0 : scheme + 3;
      const size_t colon = url.find(':', user);
      shown += url.substr(0, colon < at ? colon + 1 : user);
      shown += "***";
      url.remove_prefix(at);
    }
    shown += url;
    begin = end + 1;
  }
  return shown;
}

}  // namespace millrace
