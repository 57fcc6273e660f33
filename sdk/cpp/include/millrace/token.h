// The tokens of MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), read in place.
#ifndef MILLRACE_TOKEN_H_
#define MILLRACE_TOKEN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace millrace {

// Thrown by what stands in these headers, and by handlers: its text becomes the record's error.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class ValueType { kNil, kBool, kInt, kDouble, kString, kBytes, kList, kMap };

namespace internal {

inline const char* NameOf(ValueType type) {
  constexpr const char* kNames[] = {"nil",      "a boolean", "an integer", "a number",
                                    "a string", "bytes",     "a list",     "an object"};
  return kNames[static_cast<size_t>(type)];
}

struct Token {
  ValueType type = ValueType::kNil;
  bool is_above_int64 = false;  // `integer` is a uint64_t
  int64_t integer = 0;          // kInt; kBool: 0 or 1
  double real = 0;
  std::string_view text;  // kString, kBytes
  uint32_t count = 0;     // kList: items; kMap: fields. They follow as further tokens
  const char* behind = nullptr;
};

// What is left of a value behind a token's first byte.
struct TokenRest {
  const char* at;
  const char* end;

  void Need(uint64_t bytes) const {
    if (static_cast<uint64_t>(end - at) < bytes) throw Error("the value ends too soon");
  }
  uint64_t Load(int bytes) {
    Need(static_cast<uint64_t>(bytes));
    uint64_t bits = 0;
    for (int i = 0; i < bytes; ++i) bits = bits << 8 | static_cast<uint8_t>(*at++);
    return bits;
  }
  Token Plain(ValueType type, int64_t integer) const {
    Token token;
    token.type = type;
    token.integer = integer;
    token.behind = at;
    return token;
  }
  Token Unsigned(int bytes) {
    const uint64_t bits = Load(bytes);
    Token token = Plain(ValueType::kInt, static_cast<int64_t>(bits));
    token.is_above_int64 = bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    return token;
  }
  Token Signed(int bytes) {
    const int unused_bits = 64 - 8 * bytes;
    return Plain(ValueType::kInt, static_cast<int64_t>(Load(bytes) << unused_bits) >> unused_bits);
  }
  Token Real(int bytes) {
    const uint64_t bits = Load(bytes);
    Token token = Plain(ValueType::kDouble, 0);
    if (bytes == 8) {
      std::memcpy(&token.real, &bits, sizeof(token.real));
    } else {
      const auto short_bits = static_cast<uint32_t>(bits);
      float real = 0;
      std::memcpy(&real, &short_bits, sizeof(real));
      token.real = real;
    }
    return token;
  }
  Token Text(ValueType type, uint64_t size) {
    Need(size);
    at += size;
    Token token = Plain(type, 0);
    token.text = {at - size, static_cast<size_t>(size)};
    return token;
  }
  Token Container(ValueType type, uint64_t count) const {
    Token token = Plain(type, 0);
    token.count = static_cast<uint32_t>(count);
    return token;
  }
};

// Nothing at all is nil.
inline Token ReadToken(const char* at, const char* end) {
  if (at == end) return TokenRest{at, end}.Plain(ValueType::kNil, 0);
  const auto lead = static_cast<uint8_t>(*at);
  TokenRest rest{at + 1, end};
  if (lead < 0x80 || lead >= 0xe0) return rest.Plain(ValueType::kInt, static_cast<int8_t>(lead));
  if (lead < 0x90) return rest.Container(ValueType::kMap, lead & 0x0f);
  if (lead < 0xa0) return rest.Container(ValueType::kList, lead & 0x0f);
  if (lead < 0xc0) return rest.Text(ValueType::kString, lead & 0x1f);
  if (lead == 0xc0) return rest.Plain(ValueType::kNil, 0);
  if (lead == 0xc2 || lead == 0xc3) return rest.Plain(ValueType::kBool, lead & 1);
  if (lead >= 0xc4 && lead <= 0xc6) return rest.Text(ValueType::kBytes, rest.Load(1 << (lead - 0xc4)));
  if (lead == 0xca || lead == 0xcb) return rest.Real(4 << (lead - 0xca));
  if (lead >= 0xcc && lead <= 0xcf) return rest.Unsigned(1 << (lead - 0xcc));
  if (lead >= 0xd0 && lead <= 0xd3) return rest.Signed(1 << (lead - 0xd0));
  if (lead >= 0xd9 && lead <= 0xdb) return rest.Text(ValueType::kString, rest.Load(1 << (lead - 0xd9)));
  if (lead == 0xdc || lead == 0xdd) return rest.Container(ValueType::kList, rest.Load(2 << (lead - 0xdc)));
  if (lead == 0xde || lead == 0xdf) return rest.Container(ValueType::kMap, rest.Load(2 << (lead - 0xde)));
  throw Error("a value of a kind that is not known");
}

// Behind the value that begins at `at`, with all that is in it.
inline const char* BehindValue(const char* at, const char* end) {
  uint64_t left = 1;
  while (left > 0) {
    const Token token = ReadToken(at, end);
    if (token.behind == at) throw Error("the value ends too soon");
    at = token.behind;
    --left;
    if (token.type == ValueType::kList) left += token.count;
    if (token.type == ValueType::kMap) left += uint64_t{2} * token.count;
  }
  return at;
}

}  // namespace internal
}  // namespace millrace

#endif  // MILLRACE_TOKEN_H_
