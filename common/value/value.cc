#include "common/value/value.h"

#include "absl/strings/escaping.h"
#include "common/strings.h"

namespace millrace {
namespace {

// The part of a path before its first dot, and what follows; `rest` is empty when there is no dot.
struct SplitPath {
  std::string_view first;
  std::string_view rest;
};

SplitPath Split(std::string_view path) {
  const size_t dot = path.find('.');
  if (dot == std::string_view::npos) return {path, {}};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

std::optional<std::string_view> FindInMap(std::string_view packed, std::string_view path);

// The bytes of the value that `reader` stands before, and passes over.
std::optional<std::string_view> Take(PackReader& reader) {
  const char* const start = reader.position();
  if (!reader.Skip()) return std::nullopt;
  return std::string_view(start, static_cast<size_t>(reader.position() - start));
}

std::optional<std::string_view> FindInRow(const ValueView& row, std::string_view path) {
  const SplitPath split = Split(path);
  PackReader reader(row.bytes);
  std::string_view parent;
  for (std::string_view name : *row.fields) {
    if (name == path) return Take(reader);
    const char* const start = reader.position();
    if (!reader.Skip()) return std::nullopt;
    if (!split.rest.empty() && name == split.first) {
      parent = std::string_view(start, static_cast<size_t>(reader.position() - start));
    }
  }
  if (parent.empty()) return std::nullopt;
  return FindInMap(parent, split.rest);
}

std::optional<std::string_view> FindInMap(std::string_view packed, std::string_view path) {
  PackReader reader(packed);
  PackToken token;
  if (!reader.Next(&token) || token.type != PackToken::Type::kMap) return std::nullopt;
  const SplitPath split = Split(path);
  std::string_view parent;
  for (uint32_t pairs = token.count; pairs > 0; --pairs) {
    PackToken name;
    name.type = PackToken::Type::kNil;
    PackReader key = reader;
    if (!key.Next(&name) || !reader.Skip()) return std::nullopt;
    const bool is_text = name.type == PackToken::Type::kString;
    const std::optional<std::string_view> value = Take(reader);
    if (!value.has_value()) return std::nullopt;
    if (is_text && name.text == path) return value;
    if (is_text && !split.rest.empty() && name.text == split.first) parent = *value;
  }
  if (parent.empty()) return std::nullopt;
  return FindInMap(parent, split.rest);
}

}  // namespace

std::optional<std::string_view> FindField(const ValueView& value, std::string_view path) {
  if (value.shape == kRawShape) return std::nullopt;
  if (value.shape == kPackedShape) return FindInMap(value.bytes, path);
  return FindInRow(value, path);
}

std::string Base64(std::string_view bytes) { return absl::Base64Escape(ToAbsl(bytes)); }

std::optional<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(ToAbsl(text), &bytes)) return std::nullopt;
  return bytes;
}

size_t FindInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<uint8_t>(text[at]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (!IsValidUtf8(text.substr(at, size))) break;
    at += size;
  }
  return at;
}

}  // namespace millrace
