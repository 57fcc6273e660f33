// Values as JSON text (AppendJson of value.h).
#include <charconv>
#include <cmath>

#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

constexpr size_t kMaxNumberBytes = 32;
// Between these a double is written without an exponent.
constexpr double kLeastFixed = 1e-5;
constexpr double kMostFixed = 1e17;

template <typename T>
void AppendInteger(T value, std::string* out) {
  char text[kMaxNumberBytes];
  out->append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void AppendDouble(double value, std::string* out) {
  if (!std::isfinite(value)) {
    out->append("null");
    return;
  }
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= kLeastFixed && size < kMostFixed);
  char text[kMaxNumberBytes];
  char* const end = std::to_chars(text, text + sizeof text, value,
                                  fixed ? std::chars_format::fixed : std::chars_format::scientific)
                        .ptr;
  out->append(text, end);
  // A double stays one when it is read again.
  if (std::string_view(text, static_cast<size_t>(end - text)).find_first_of(".e") == std::string_view::npos) {
    out->append(".0");
  }
}

void AppendEscape(char c, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\b':
      out->append("\\b");
      return;
    case '\f':
      out->append("\\f");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default:
      out->append("\\u00");
      out->push_back(kHex[static_cast<uint8_t>(c) >> 4]);
      out->push_back(kHex[c & 0x0f]);
  }
}

absl::Status AppendText(std::string_view text, std::string* out) {
  if (!IsValidUtf8(text)) {
    return absl::InvalidArgumentError("JSON cannot hold text that is not UTF-8");
  }
  out->push_back('"');
  size_t plain = 0;  // where what needs no escape begins
  for (size_t i = 0; i < text.size(); ++i) {
    if (static_cast<uint8_t>(text[i]) >= 0x20 && text[i] != '"' && text[i] != '\\') continue;
    out->append(text, plain, i - plain);
    AppendEscape(text[i], out);
    plain = i + 1;
  }
  out->append(text, plain);
  out->push_back('"');
  return absl::OkStatus();
}

absl::Status Malformed() { return absl::InvalidArgumentError("the value is malformed MessagePack"); }

// A map's key: JSON knows text only, so a number is put in quotes.
absl::Status AppendKey(PackReader& reader, std::string* out) {
  PackToken token;
  if (!reader.Next(&token)) return Malformed();
  switch (token.type) {
    case PackToken::Type::kString:
      return AppendText(token.text, out);
    case PackToken::Type::kInt:
    case PackToken::Type::kUint:
    case PackToken::Type::kDouble:
      out->push_back('"');
      if (token.type == PackToken::Type::kInt) AppendInteger(token.integer, out);
      if (token.type == PackToken::Type::kUint) AppendInteger(token.unsigned_integer, out);
      if (token.type == PackToken::Type::kDouble) AppendDouble(token.real, out);
      out->push_back('"');
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("JSON cannot hold a map whose key is neither text nor a number");
  }
}

absl::Status AppendOne(PackReader& reader, int depth, std::string* out);

absl::Status AppendArray(PackReader& reader, uint32_t items, int depth, std::string* out) {
  out->push_back('[');
  for (uint32_t i = 0; i < items; ++i) {
    if (i > 0) out->push_back(',');
    if (absl::Status status = AppendOne(reader, depth, out); !status.ok()) return status;
  }
  out->push_back(']');
  return absl::OkStatus();
}

absl::Status AppendMap(PackReader& reader, uint32_t pairs, int depth, std::string* out) {
  out->push_back('{');
  for (uint32_t i = 0; i < pairs; ++i) {
    if (i > 0) out->push_back(',');
    if (absl::Status status = AppendKey(reader, out); !status.ok()) return status;
    out->push_back(':');
    if (absl::Status status = AppendOne(reader, depth, out); !status.ok()) return status;
  }
  out->push_back('}');
  return absl::OkStatus();
}

// `depth`: how many containers are open.
absl::Status AppendOne(PackReader& reader, int depth, std::string* out) {
  PackToken token;
  if (!reader.Next(&token)) return Malformed();
  switch (token.type) {
    case PackToken::Type::kNil:
      out->append("null");
      return absl::OkStatus();
    case PackToken::Type::kBool:
      out->append(token.boolean ? "true" : "false");
      return absl::OkStatus();
    case PackToken::Type::kInt:
      AppendInteger(token.integer, out);
      return absl::OkStatus();
    case PackToken::Type::kUint:
      AppendInteger(token.unsigned_integer, out);
      return absl::OkStatus();
    case PackToken::Type::kDouble:
      AppendDouble(token.real, out);
      return absl::OkStatus();
    case PackToken::Type::kString:
    case PackToken::Type::kBinary:
      return AppendText(token.text, out);
    case PackToken::Type::kArray:
    case PackToken::Type::kMap:
      if (depth == kMaxPackDepth) {
        return absl::InvalidArgumentError(StrCat("the value is nested deeper than ", kMaxPackDepth));
      }
      return token.type == PackToken::Type::kArray ? AppendArray(reader, token.count, depth + 1, out)
                                                   : AppendMap(reader, token.count, depth + 1, out);
  }
  return Malformed();
}

absl::Status AppendRow(const ValueView& row, std::string* out) {
  PackReader reader(row.bytes);
  out->push_back('{');
  for (size_t i = 0; i < row.fields->size(); ++i) {
    if (i > 0) out->push_back(',');
    if (absl::Status status = AppendText((*row.fields)[i], out); !status.ok()) return status;
    out->push_back(':');
    if (absl::Status status = AppendOne(reader, 1, out); !status.ok()) return status;
  }
  out->push_back('}');
  return reader.done() ? absl::OkStatus() : Malformed();
}

absl::Status AppendPacked(std::string_view packed, std::string* out) {
  PackReader reader(packed);
  if (absl::Status status = AppendOne(reader, 0, out); !status.ok()) return status;
  return reader.done() ? absl::OkStatus() : Malformed();
}

}  // namespace

absl::Status AppendJson(const ValueView& value, std::string* out) {
  const size_t before = out->size();
  absl::Status status = value.shape == kRawShape      ? AppendText(value.bytes, out)
                        : value.shape == kPackedShape ? AppendPacked(value.bytes, out)
                                                      : AppendRow(value, out);
  if (!status.ok()) out->resize(before);
  return status;
}

absl::Status AppendPackedJson(std::string_view packed, std::string* out) {
  return AppendJson({packed, kPackedShape, nullptr}, out);
}

}  // namespace millrace
