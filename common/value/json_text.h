// nlohmann's JSON to text and bytes in it, without exceptions: what is written may quote bytes that are no
// UTF-8, from an input, a key or an address, and dump() as it stands throws at those. A template, so that
// whoever includes this chooses the kind of JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {

inline constexpr int kOneLine = -1;

// Bytes that are no UTF-8 become U+FFFD.
template <typename Json>
std::string JsonText(const Json& json, int indent = kOneLine) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Bytes as a member: `name` where they are UTF-8, else `name`_base64.
template <typename Json>
void PutBytes(Json& object, std::string_view name, std::string_view bytes) {
  if (IsValidUtf8(bytes)) {
    object[std::string(name)] = bytes;
  } else {
    object[StrCat(name, "_base64")] = Base64(bytes);
  }
}

// What PutBytes put; nullopt when neither member is there in that form.
template <typename Json>
std::optional<std::string> TakeBytes(const Json& object, std::string_view name) {
  if (const auto text = object.find(std::string(name)); text != object.end() && text->is_string()) {
    return text->template get<std::string>();
  }
  const auto encoded = object.find(StrCat(name, "_base64"));
  if (encoded == object.end() || !encoded->is_string()) return std::nullopt;
  return FromBase64(encoded->template get_ref<const std::string&>());
}

}  // namespace millrace
