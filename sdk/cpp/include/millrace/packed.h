// Values as a handler writes them: what it puts out, and what it keeps as state.
#ifndef MILLRACE_PACKED_H_
#define MILLRACE_PACKED_H_

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "millrace/value.h"

namespace millrace {

// Bytes to be written as such, and not as text.
struct Bytes {
  std::string_view bytes;
  Bytes(const void* data, size_t size) : bytes(static_cast<const char*>(data), size) {}
  explicit Bytes(std::string_view view) : bytes(view) {}
};

// A value that was written here: what is put out, and what is kept as state. Owns its bytes.
class Packed {
 public:
  Packed() = default;  // nil
  template <typename T>
  explicit Packed(const T& value) {
    Append(value, &bytes_);
  }
  // REQUIRES: one MessagePack value.
  static Packed OfPacked(std::string packed) {
    Packed value;
    value.bytes_ = std::move(packed);
    return value;
  }

  std::string_view bytes() const {
    return bytes_.empty() ? std::string_view("\xc0", 1) : std::string_view(bytes_);
  }
  Value value() const { return Value::OfPacked(bytes()); }

  // What Map and List are made of: each kind of value that can be written.
  static void Append(std::nullptr_t, std::string* out) { out->push_back('\xc0'); }
  static void Append(const Packed& value, std::string* out) { out->append(value.bytes()); }
  static void Append(const Value& value, std::string* out) { value.AppendTo(out); }
  static void Append(const char* text, std::string* out) { Append(std::string_view(text), out); }
  static void Append(const std::string& text, std::string* out) { Append(std::string_view(text), out); }
  static void Append(std::string_view text, std::string* out) {
    if (text.size() < 32) {
      out->push_back(static_cast<char>(0xa0 | text.size()));
    } else {
      AppendSize(text.size(), 0xd9, 0xda, 0xdb, out);
    }
    out->append(text);
  }
  static void Append(const Bytes& value, std::string* out) {
    AppendSize(value.bytes.size(), 0xc4, 0xc5, 0xc6, out);
    out->append(value.bytes);
  }
  template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>>
  static void Append(T number, std::string* out) {
    if constexpr (std::is_same_v<T, bool>) {
      out->push_back(number ? '\xc3' : '\xc2');
    } else if constexpr (std::is_floating_point_v<T>) {
      const double real = number;
      uint64_t bits;
      std::memcpy(&bits, &real, sizeof(bits));
      AppendBig(0xcb, bits, 8, out);
    } else if (std::is_signed_v<T> && number < 0) {
      AppendNegative(static_cast<int64_t>(number), out);
    } else {
      const auto integer = static_cast<uint64_t>(number);
      if (integer <= 0x7f) {
        out->push_back(static_cast<char>(integer));
      } else if (integer <= 0xffffffff) {
        AppendSize(static_cast<size_t>(integer), 0xcc, 0xcd, 0xce, out);
      } else {
        AppendBig(0xcf, integer, 8, out);
      }
    }
  }
  static void AppendListHead(size_t items, std::string* out) { AppendHead(items, 0x90, 0xdc, 0xdd, out); }
  static void AppendMapHead(size_t fields, std::string* out) { AppendHead(fields, 0x80, 0xde, 0xdf, out); }

 private:
  static void AppendBig(int lead, uint64_t bits, int bytes, std::string* out) {
    out->push_back(static_cast<char>(lead));
    for (int i = bytes - 1; i >= 0; --i) out->push_back(static_cast<char>(bits >> 8 * i));
  }
  static void AppendNegative(int64_t integer, std::string* out) {
    const auto bits = static_cast<uint64_t>(integer);
    if (integer >= -32) {
      out->push_back(static_cast<char>(integer));
    } else if (integer >= std::numeric_limits<int8_t>::min()) {
      AppendBig(0xd0, bits, 1, out);
    } else if (integer >= std::numeric_limits<int16_t>::min()) {
      AppendBig(0xd1, bits, 2, out);
    } else if (integer >= std::numeric_limits<int32_t>::min()) {
      AppendBig(0xd2, bits, 4, out);
    } else {
      AppendBig(0xd3, bits, 8, out);
    }
  }
  static void AppendSize(size_t size, int lead8, int lead16, int lead32, std::string* out) {
    if (size <= 0xff) return AppendBig(lead8, size, 1, out);
    if (size <= 0xffff) return AppendBig(lead16, size, 2, out);
    if (size > 0xffffffff) throw Error("a value of 4 GiB or more");
    AppendBig(lead32, size, 4, out);
  }
  static void AppendHead(size_t count, int lead4, int lead16, int lead32, std::string* out) {
    if (count < 16) return out->push_back(static_cast<char>(lead4 | static_cast<int>(count)));
    AppendBig(count <= 0xffff ? lead16 : lead32, count, count <= 0xffff ? 2 : 4, out);
  }

  std::string bytes_;
};

// Writes a list or an object of which it is not known before how much is in it.
class ListWriter {
 public:
  template <typename T>
  ListWriter& Add(const T& item) {
    Packed::Append(item, &items_);
    ++count_;
    return *this;
  }
  Packed Done() const;

 private:
  friend class MapWriter;
  std::string items_;
  size_t count_ = 0;
};
class MapWriter {
 public:
  template <typename T>
  MapWriter& Add(std::string_view name, const T& value) {
    Packed::Append(name, &fields_.items_);
    Packed::Append(value, &fields_.items_);
    ++fields_.count_;
    return *this;
  }
  Packed Done() const;

 private:
  ListWriter fields_;
};

namespace internal {
inline void AddFields(MapWriter&) {}
template <typename T, typename... Rest>
void AddFields(MapWriter& map, std::string_view name, const T& value, const Rest&... rest) {
  map.Add(name, value);
  AddFields(map, rest...);
}
}  // namespace internal

// Map("flights", 3, "worst", 12.5): an object. Values are numbers, booleans, text, Bytes, nullptr, Value and Packed.
template <typename... NamesAndValues>
Packed Map(const NamesAndValues&... names_and_values) {
  static_assert(sizeof...(names_and_values) % 2 == 0, "a name and a value for each field");
  MapWriter map;
  internal::AddFields(map, names_and_values...);
  return map.Done();
}
// List(1, "b", nullptr)
template <typename... Items>
Packed List(const Items&... items) {
  ListWriter list;
  (list.Add(items), ...);
  return list.Done();
}

inline Packed ListWriter::Done() const {
  std::string packed;
  Packed::AppendListHead(count_, &packed);
  return Packed::OfPacked(packed + items_);
}
inline Packed MapWriter::Done() const {
  std::string packed;
  Packed::AppendMapHead(fields_.count_, &packed);
  return Packed::OfPacked(packed + fields_.items_);
}

inline void Value::AppendTo(std::string* packed) const {
  if (layout_ == Layout::kRaw) return Packed::Append(Bytes(AsBytes()), packed);
  if (layout_ == Layout::kPacked) {
    if (at_ == nullptr) return Packed::Append(nullptr, packed);
    packed->append(at_, static_cast<size_t>(internal::BehindValue(at_, end_) - at_));
    return;
  }
  MapWriter map;
  ForEachField([&](std::string_view name, const Value& value) { map.Add(name, value); });
  packed->append(map.Done().bytes());
}

}  // namespace millrace

#endif  // MILLRACE_PACKED_H_
