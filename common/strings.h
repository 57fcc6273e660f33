// Abseil's string functions for std::string_view. Where abseil is built for C++14 (Debian bookworm),
// absl::string_view is a type of its own that does not convert from or to the standard's; where it is built
// for C++17 (trixie) the two are one, and all of this costs nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace millrace {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

namespace strings_internal {
template <typename T>
decltype(auto) Piece(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(value);
  } else {
    return (value);
  }
}
}  // namespace strings_internal

template <typename... Pieces>
[[nodiscard]] std::string StrCat(const Pieces&... pieces) {
  return absl::StrCat(strings_internal::Piece(pieces)...);
}

template <typename... Pieces>
void StrAppend(std::string* out, const Pieces&... pieces) {
  absl::StrAppend(out, strings_internal::Piece(pieces)...);
}

// The longest beginning of at most `most_bytes` that cuts no character of UTF-8 in two.
[[nodiscard]] inline std::string_view Shorten(std::string_view text, size_t most_bytes) {
  constexpr size_t kMostFollowing = 3;  // bytes of a character behind its first
  if (text.size() <= most_bytes) return text;
  const auto follows = [text](size_t at) { return (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80; };
  size_t cut = most_bytes;
  while (cut > 0 && most_bytes - cut < kMostFollowing && follows(cut)) --cut;
  return text.substr(0, follows(cut) ? most_bytes : cut);  // where no character begins: it is no UTF-8
}

}  // namespace millrace
