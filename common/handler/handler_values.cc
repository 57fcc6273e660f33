#include "common/handler/handler_values.h"

#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

using Type = PackToken::Type;

absl::Status Malformed() {
  return absl::InvalidArgumentError("bytes that are no MessagePack of this protocol");
}

absl::Status CheckText(const PackToken& token) {
  if (token.type != Type::kString || IsValidUtf8(token.text)) return absl::OkStatus();
  return absl::InvalidArgumentError("text that is not UTF-8");
}

absl::Status CheckMapKey(PackReader* reader) {
  PackToken key;
  if (!reader->Next(&key)) return Malformed();
  if (key.type == Type::kNil || key.type == Type::kBinary || key.type == Type::kArray ||
      key.type == Type::kMap) {
    return absl::InvalidArgumentError("a map's key must be text, a number or a boolean");
  }
  return CheckText(key);
}

absl::Status CheckValue(PackReader* reader, int depth_left) {
  PackToken token;
  if (!reader->Next(&token)) return Malformed();
  if (token.type != Type::kArray && token.type != Type::kMap) return CheckText(token);
  if (depth_left == 0)
    return absl::InvalidArgumentError(StrCat("nested deeper than ", kMaxHandlerValueDepth));
  for (uint32_t i = 0; i < token.count; ++i) {
    if (token.type == Type::kMap) {
      if (absl::Status status = CheckMapKey(reader); !status.ok()) return status;
    }
    if (absl::Status status = CheckValue(reader, depth_left - 1); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// What else a frame may hold must not make its whole batch unreadable.
bool IsOneValue(std::string_view packed) {
  PackReader reader(packed);
  return reader.Skip() && reader.done();
}

}  // namespace

absl::StatusOr<std::string_view> TakeHandlerValue(PackReader* reader, int max_depth) {
  const char* const begin = reader->position();
  if (absl::Status status = CheckValue(reader, max_depth); !status.ok()) return status;
  return std::string_view(begin, static_cast<size_t>(reader->position() - begin));
}

void AppendCallValue(const RecordView& record, std::string* out) {
  if (record.shape == kPackedShape && IsOneValue(record.value)) {
    out->append(record.value);
  } else if (record.shape < kFirstRowShape || record.fields == nullptr) {
    PackWriter(out).Binary(record.value);
  } else {
    PackWriter writer(out);
    writer.Map(static_cast<uint32_t>(record.fields->size()));
    PackReader values(record.value);
    for (const std::string_view field : *record.fields) {
      writer.String(field);
      const char* const begin = values.position();
      if (!values.Skip()) {
        writer.Nil();
        continue;
      }
      out->append(begin, static_cast<size_t>(values.position() - begin));
    }
  }
}

}  // namespace millrace
