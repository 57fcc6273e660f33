#include "common/value/msgpack.h"

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <limits>

namespace millrace {
namespace {

// The spec's leading bytes.
enum Lead : uint8_t {
  kFixMap = 0x80,
  kFixArray = 0x90,
  kFixString = 0xa0,
  kNilLead = 0xc0,
  kFalse = 0xc2,
  kTrue = 0xc3,
  kBin8 = 0xc4,
  kBin16 = 0xc5,
  kBin32 = 0xc6,
  kFloat32 = 0xca,
  kFloat64 = 0xcb,
  kUint8 = 0xcc,
  kUint16 = 0xcd,
  kUint32 = 0xce,
  kUint64 = 0xcf,
  kInt8 = 0xd0,
  kInt16 = 0xd1,
  kInt32 = 0xd2,
  kInt64 = 0xd3,
  kString8 = 0xd9,
  kString16 = 0xda,
  kString32 = 0xdb,
  kArray16 = 0xdc,
  kArray32 = 0xdd,
  kMap16 = 0xde,
  kMap32 = 0xdf,
};

constexpr uint32_t kMaxFixItems = 15;

// MessagePack is big endian.
template <std::unsigned_integral T>
T Swap(T value) {
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  return value;
}

template <std::unsigned_integral T>
void Put(std::string* out, Lead lead, T value) {
  char bytes[2 * sizeof(uint64_t)];
  value = Swap(value);
  if constexpr (sizeof(T) < sizeof(uint64_t)) {
    // In one store: the copy that follows would wait for two of them.
    const uint64_t word = lead | uint64_t{value} << 8;
    std::memcpy(bytes, &word, sizeof word);
  } else {
    bytes[0] = static_cast<char>(lead);
    std::memcpy(bytes + 1, &value, sizeof value);
  }
  out->append(bytes, 1 + sizeof value);
}

template <typename T>
constexpr bool Fits(uint64_t value) {
  return value <= std::numeric_limits<T>::max();
}

// A length or count in 16 or 32 bits.
void PutCount(std::string* out, Lead in_16, Lead in_32, uint64_t count) {
  if (Fits<uint16_t>(count)) {
    Put(out, in_16, static_cast<uint16_t>(count));
  } else {
    Put(out, in_32, static_cast<uint32_t>(count));
  }
}

}  // namespace

void PackWriter::Nil() { out_->push_back(static_cast<char>(kNilLead)); }
void PackWriter::Bool(bool value) { out_->push_back(static_cast<char>(value ? kTrue : kFalse)); }

void PackWriter::WideInt(int64_t value) {
  if (value >= 0) return Uint(static_cast<uint64_t>(value));
  if (value >= std::numeric_limits<int8_t>::min()) {
    Put(out_, kInt8, static_cast<uint8_t>(value));
  } else if (value >= std::numeric_limits<int16_t>::min()) {
    Put(out_, kInt16, static_cast<uint16_t>(value));
  } else if (value >= std::numeric_limits<int32_t>::min()) {
    Put(out_, kInt32, static_cast<uint32_t>(value));
  } else {
    Put(out_, kInt64, static_cast<uint64_t>(value));
  }
}

void PackWriter::Uint(uint64_t value) {
  if (value <= 0x7f) {
    out_->push_back(static_cast<char>(value));
  } else if (Fits<uint8_t>(value)) {
    Put(out_, kUint8, static_cast<uint8_t>(value));
  } else if (Fits<uint16_t>(value)) {
    Put(out_, kUint16, static_cast<uint16_t>(value));
  } else if (Fits<uint32_t>(value)) {
    Put(out_, kUint32, static_cast<uint32_t>(value));
  } else {
    Put(out_, kUint64, value);
  }
}

void PackWriter::Double(double value) { Put(out_, kFloat64, std::bit_cast<uint64_t>(value)); }

void PackWriter::LongString(std::string_view value) {
  if (Fits<uint8_t>(value.size())) {
    Put(out_, kString8, static_cast<uint8_t>(value.size()));
  } else {
    PutCount(out_, kString16, kString32, value.size());
  }
  out_->append(value);
}

void PackWriter::Binary(std::string_view value) {
  if (Fits<uint8_t>(value.size())) {
    Put(out_, kBin8, static_cast<uint8_t>(value.size()));
  } else {
    PutCount(out_, kBin16, kBin32, value.size());
  }
  out_->append(value);
}

void PackWriter::Array(uint32_t items) {
  if (items <= kMaxFixItems) {
    out_->push_back(static_cast<char>(kFixArray | items));
  } else {
    PutCount(out_, kArray16, kArray32, items);
  }
}

void PackWriter::Map(uint32_t pairs) {
  if (pairs <= kMaxFixItems) {
    out_->push_back(static_cast<char>(kFixMap | pairs));
  } else {
    PutCount(out_, kMap16, kMap32, pairs);
  }
}

template <typename T>
bool PackReader::Load(T* value) {
  if (end_ - at_ < static_cast<std::ptrdiff_t>(sizeof *value)) return Fail();
  std::memcpy(value, at_, sizeof *value);
  *value = Swap(*value);
  at_ += sizeof *value;
  return true;
}

bool PackReader::NextText(PackToken* token, PackToken::Type type, uint64_t size) {
  if (size > static_cast<uint64_t>(end_ - at_)) return Fail();
  token->type = type;
  token->text = std::string_view(at_, size);
  at_ += size;
  return true;
}

bool PackReader::NextContainer(PackToken* token, PackToken::Type type, uint64_t count) {
  const uint64_t min_bytes = type == PackToken::Type::kMap ? 2 * count : count;
  if (min_bytes > static_cast<uint64_t>(end_ - at_)) return Fail();
  token->type = type;
  token->count = static_cast<uint32_t>(count);
  return true;
}

bool PackReader::NextWide(PackToken* token) {
  using Type = PackToken::Type;
  const auto lead = static_cast<uint8_t>(*at_++);
  uint8_t in_8 = 0;
  uint16_t in_16 = 0;
  uint32_t in_32 = 0;
  uint64_t in_64 = 0;
  const auto is_int = [token](int64_t value) {
    token->type = Type::kInt;
    token->integer = value;
    return true;
  };
  const auto is_double = [token](double value) {
    token->type = Type::kDouble;
    token->real = value;
    return true;
  };
  if (lead < kFixArray) return NextContainer(token, Type::kMap, lead & 0x0f);
  if (lead < kFixString) return NextContainer(token, Type::kArray, lead & 0x0f);
  if (lead < kNilLead) return NextText(token, Type::kString, lead & 0x1f);
  switch (lead) {
    case kNilLead:
      token->type = Type::kNil;
      return true;
    case kFalse:
    case kTrue:
      token->type = Type::kBool;
      token->boolean = lead == kTrue;
      return true;
    case kBin8:
      return Load(&in_8) && NextText(token, Type::kBinary, in_8);
    case kBin16:
      return Load(&in_16) && NextText(token, Type::kBinary, in_16);
    case kBin32:
      return Load(&in_32) && NextText(token, Type::kBinary, in_32);
    case kFloat32:
      return Load(&in_32) && is_double(std::bit_cast<float>(in_32));
    case kFloat64:
      return Load(&in_64) && is_double(std::bit_cast<double>(in_64));
    case kUint8:
      return Load(&in_8) && is_int(in_8);
    case kUint16:
      return Load(&in_16) && is_int(in_16);
    case kUint32:
      return Load(&in_32) && is_int(in_32);
    case kUint64:
      if (!Load(&in_64)) return false;
      if (Fits<int64_t>(in_64)) return is_int(static_cast<int64_t>(in_64));
      token->type = Type::kUint;
      token->unsigned_integer = in_64;
      return true;
    case kInt8:
      return Load(&in_8) && is_int(static_cast<int8_t>(in_8));
    case kInt16:
      return Load(&in_16) && is_int(static_cast<int16_t>(in_16));
    case kInt32:
      return Load(&in_32) && is_int(static_cast<int32_t>(in_32));
    case kInt64:
      return Load(&in_64) && is_int(static_cast<int64_t>(in_64));
    case kString8:
      return Load(&in_8) && NextText(token, Type::kString, in_8);
    case kString16:
      return Load(&in_16) && NextText(token, Type::kString, in_16);
    case kString32:
      return Load(&in_32) && NextText(token, Type::kString, in_32);
    case kArray16:
      return Load(&in_16) && NextContainer(token, Type::kArray, in_16);
    case kArray32:
      return Load(&in_32) && NextContainer(token, Type::kArray, in_32);
    case kMap16:
      return Load(&in_16) && NextContainer(token, Type::kMap, in_16);
    case kMap32:
      return Load(&in_32) && NextContainer(token, Type::kMap, in_32);
    default:
      return Fail();
  }
}

bool PackReader::SkipWide() {
  std::array<uint64_t, kMaxPackDepth> left;  // values to go in each open container
  int depth = 0;
  PackToken token;
  do {
    if (!Next(&token)) return Fail();
    if (depth > 0) --left[depth - 1];
    if (token.type == PackToken::Type::kArray || token.type == PackToken::Type::kMap) {
      if (depth == kMaxPackDepth) return Fail();
      left[depth++] = token.type == PackToken::Type::kMap ? 2 * uint64_t{token.count} : token.count;
    }
    while (depth > 0 && left[depth - 1] == 0) --depth;
  } while (depth > 0);
  return true;
}

}  // namespace millrace
