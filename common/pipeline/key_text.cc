#include "common/pipeline/key_text.h"

#include <optional>

#include "common/strings.h"
#include "common/value/msgpack.h"
#include "common/value/value.h"

namespace millrace {
namespace {

absl::StatusOr<std::string_view> AsJson(std::string_view packed, std::string* scratch) {
  scratch->clear();
  if (absl::Status written = AppendPackedJson(packed, scratch); !written.ok()) return written;
  return std::string_view(*scratch);
}

absl::Status MissingField(const RecordView& record, const std::string& path) {
  return absl::InvalidArgumentError(
      StrCat("no key: field `", path, "` is ", WhyNoKey(ValueView::Of(record), path)));
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

absl::StatusOr<std::string_view> FieldKey::Take(const RecordView& record) {
  if (key_.kind == KeySpec::Kind::kField) return TextOf(record, key_.paths.front());
  list_.assign(1, '[');
  for (const std::string& path : key_.paths) {
    if (absl::Status status = AppendMember(record, path); !status.ok()) return status;
  }
  list_.push_back(']');
  return std::string_view(list_);
}

absl::StatusOr<std::string_view> FieldKey::TextOf(const RecordView& record, const std::string& path) {
  const std::optional<std::string_view> packed = FindField(ValueView::Of(record), path);
  if (packed.has_value()) {
    const absl::StatusOr<std::string_view> text = KeyTextOf(*packed, &text_);
    if (text.ok()) return text;
  }
  return MissingField(record, path);
}

absl::Status FieldKey::AppendMember(const RecordView& record, const std::string& path) {
  const std::optional<std::string_view> packed = FindField(ValueView::Of(record), path);
  if (!packed.has_value() || !KeyTextOf(*packed, &text_).ok()) return MissingField(record, path);
  if (list_.size() > 1) list_.push_back(',');
  return AppendPackedJson(*packed, &list_);
}

}  // namespace millrace
