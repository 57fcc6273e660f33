// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), written to and read from plain
// buffers.
//
// Integers are written in the shortest form; a double always as float 64; text as str, bytes as bin.
// Extension types are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

class PackWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit PackWriter(std::string* out) : out_(out) {}
  void Nil();
  void Bool(bool value);  // NOLINT: the type is the meaning
  void Int(int64_t value);
  void Uint(uint64_t value);
  void Double(double value);
  void String(std::string_view value);
  void Binary(std::string_view value);
  void Array(uint32_t items);
  void Map(uint32_t pairs);

 private:
  void WideInt(int64_t value);
  void LongString(std::string_view value);

  std::string* out_;
};

struct PackToken {
  enum class Type : uint8_t { kNil, kBool, kInt, kUint, kDouble, kString, kBinary, kArray, kMap };
  Type type = Type::kNil;
  bool boolean = false;
  int64_t integer = 0;  // kInt (kUint is used only above INT64_MAX)
  uint64_t unsigned_integer = 0;
  double real = 0;
  std::string_view text;  // kString, kBinary
  uint32_t count = 0;     // kArray: items; kMap: pairs
};

inline constexpr int kMaxPackDepth = 64;

// Reads tokens in place; never reads past the end, never allocates. Not thread-safe.
class PackReader {
 public:
  explicit PackReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  // False at the end or when malformed; failed() tells which. A container's items follow as further tokens;
  // its count is never more than there are bytes left for.
  bool Next(PackToken* token);
  // Passes over one whole value, containers with their contents, to kMaxPackDepth.
  bool Skip();
  bool failed() const { return failed_; }
  bool done() const { return at_ == end_; }
  const char* position() const { return at_; }

 private:
  bool NextWide(PackToken* token);
  bool SkipWide();
  bool NextText(PackToken* token, PackToken::Type type, uint64_t size);
  bool NextContainer(PackToken* token, PackToken::Type type, uint64_t count);
  template <typename T>
  bool Load(T* value);
  bool Fail();

  const char* at_;
  const char* end_;
  bool failed_ = false;
};

// The short forms, which are nearly all of them, inline.

inline void PackWriter::Int(int64_t value) {
  if (value >= -32 && value <= 127) {
    out_->push_back(static_cast<char>(value));
  } else {
    WideInt(value);
  }
}

inline void PackWriter::String(std::string_view value) {
  if (value.size() < 32) {
    out_->push_back(static_cast<char>(0xa0 | value.size()));
    out_->append(value);
  } else {
    LongString(value);
  }
}

inline bool PackReader::Next(PackToken* token) {
  if (at_ == end_) return false;
  const auto lead = static_cast<uint8_t>(*at_);
  if (lead < 0x80 || lead >= 0xe0) {
    ++at_;
    token->type = PackToken::Type::kInt;
    token->integer = static_cast<int8_t>(lead);  // NOLINT(bugprone-signed-char-misuse): a fixint is signed
    return true;
  }
  if ((lead & 0xe0) == 0xa0 && (lead & 0x1f) < end_ - at_) {
    token->type = PackToken::Type::kString;
    token->text = std::string_view(at_ + 1, lead & 0x1f);
    at_ += 1 + (lead & 0x1f);
    return true;
  }
  return NextWide(token);
}

inline bool PackReader::Skip() {
  if (at_ == end_) return Fail();
  const auto lead = static_cast<uint8_t>(*at_);
  if (lead < 0x80 || lead >= 0xe0) {
    ++at_;
    return true;
  }
  if ((lead & 0xe0) == 0xa0 && (lead & 0x1f) < end_ - at_) {
    at_ += 1 + (lead & 0x1f);
    return true;
  }
  return SkipWide();
}

inline bool PackReader::Fail() {
  failed_ = true;
  return false;
}

}  // namespace millrace
