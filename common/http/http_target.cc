#include "absl/strings/ascii.h"
#include "common/http/http_server.h"

namespace millrace {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = absl::ascii_tolower(static_cast<unsigned char>(c));
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum class PlusIs { kPlus, kSpace };

// RFC 3986 2.1; what is no escape stays as it is.
std::string Decode(std::string_view text, PlusIs plus) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus == PlusIs::kSpace ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

HttpRequest ParseHttpTarget(std::string_view target) {
  HttpRequest request;
  const size_t question = target.find('?');
  request.path = Decode(target.substr(0, question), PlusIs::kPlus);
  if (question == std::string_view::npos) return request;
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    request.query[Decode(pair.substr(0, equals), PlusIs::kSpace)] =
        equals == std::string_view::npos ? "" : Decode(pair.substr(equals + 1), PlusIs::kSpace);
  }
  return request;
}

}  // namespace millrace
