#include "common/value/json_number.h"

#include "absl/strings/ascii.h"

namespace millrace {

JsonNumber ClassifyNumber(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto digits = [&] {
    const char* const begin = at;
    while (at != end && absl::ascii_isdigit(static_cast<unsigned char>(*at))) ++at;
    return at - begin;
  };
  if (at != end && *at == '-') ++at;
  const char* const first = at;
  const auto whole = digits();
  if (whole == 0 || (whole > 1 && *first == '0')) return JsonNumber::kNone;
  if (at == end) return JsonNumber::kInteger;
  if (*at == '.') {
    ++at;
    if (digits() == 0) return JsonNumber::kNone;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (digits() == 0) return JsonNumber::kNone;
  }
  return at == end ? JsonNumber::kOther : JsonNumber::kNone;
}

}  // namespace millrace
