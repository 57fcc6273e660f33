// Integers on the wire: little endian of fixed size, LEB128 varints, zigzag. Inline, for they run several
// times for each record.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace millrace::wire {

static_assert(std::endian::native == std::endian::little, "fixed-size integers are copied as they lie");

inline constexpr size_t kMaxVarintBytes = 10;

template <std::integral T>
inline void StoreFixed(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <std::integral T>
inline T LoadFixed(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// REQUIRES: kMaxVarintBytes writable at `to`. Returns what follows.
inline char* StoreVarint(char* to, uint64_t value) {
  while (value >= 0x80) {
    *to++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<char>(value);
  return to;
}

// Returns what follows, or nullptr when the bytes end too early or say more than 64 bits.
const char* LoadLongVarint(const char* at, const char* end, uint64_t* value);

inline const char* LoadVarint(const char* at, const char* end, uint64_t* value) {
  if (at != end && static_cast<uint8_t>(*at) < 0x80) {
    *value = static_cast<uint8_t>(*at);
    return at + 1;
  }
  return LoadLongVarint(at, end, value);
}

inline size_t VarintBytes(uint64_t value) { return 1 + (std::bit_width(value | 1) - 1) / 7; }

inline void AppendVarint(std::string* out, uint64_t value) {
  char bytes[kMaxVarintBytes];
  out->append(bytes, StoreVarint(bytes, value));
}

// A length and the bytes it counts.
inline void AppendText(std::string* out, std::string_view text) {
  AppendVarint(out, text.size());
  out->append(text);
}

// REQUIRES: kMaxVarintBytes + text.size() writable at `to`.
inline char* StoreText(char* to, std::string_view text) {
  to = StoreVarint(to, text.size());
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

// Returns what follows, or nullptr when the length says more than there is.
inline const char* LoadText(const char* at, const char* end, std::string_view* text) {
  uint64_t size;
  at = LoadVarint(at, end, &size);
  if (at == nullptr || size > static_cast<uint64_t>(end - at)) return nullptr;
  *text = std::string_view(at, size);
  return at + size;
}

inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) { return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1)); }

}  // namespace millrace::wire
