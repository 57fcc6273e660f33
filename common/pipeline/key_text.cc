#include "common/pipeline/key_text.h"

#include "common/value/msgpack.h"
#include "common/value/value.h"

namespace millrace {
namespace {

absl::StatusOr<std::string_view> AsJson(std::string_view packed, std::string* scratch) {
  scratch->clear();
  if (absl::Status written = AppendPackedJson(packed, scratch); !written.ok()) return written;
  return std::string_view(*scratch);
}

}  // namespace

absl::StatusOr<std::string_view> KeyTextOf(std::string_view packed, std::string* scratch) {
  PackToken token;
  if (!PackReader(packed).Next(&token)) return absl::InvalidArgumentError("a key of no value");
  switch (token.type) {
    case PackToken::Type::kString:
    case PackToken::Type::kBinary:
      return token.text;
    case PackToken::Type::kNil:
    case PackToken::Type::kArray:
    case PackToken::Type::kMap:
      return absl::InvalidArgumentError("a key must be text, a number or a truth value");
    default:
      return AsJson(packed, scratch);
  }
}

absl::StatusOr<std::string_view> ExpressionKeyText(std::string_view packed, std::string* scratch) {
  PackToken token;
  if (!PackReader(packed).Next(&token)) return absl::InternalError("the key's expression gave no value");
  switch (token.type) {
    case PackToken::Type::kNil:
      return absl::InvalidArgumentError(
          "no key: its expression gives nil — is a field of the record missing?");
    case PackToken::Type::kMap:
      return absl::InvalidArgumentError("no key: its expression gives a table — make it text or a list");
    case PackToken::Type::kArray:
      return AsJson(packed, scratch);
    default:
      return KeyTextOf(packed, scratch);
  }
}

std::string_view WhyNoKey(const ValueView& value, std::string_view path) {
  const std::optional<std::string_view> packed = FindField(value, path);
  PackToken token;
  if (!packed.has_value() || !PackReader(*packed).Next(&token)) return "missing";
  if (token.type == PackToken::Type::kArray) return "a list";
  return token.type == PackToken::Type::kMap ? "an object" : "null";
}

}  // namespace millrace
