#include "common/pipeline/aggregate_number.h"

#include <bit>

namespace millrace {
namespace {

// At least 64 bits of mantissa on the platforms this is built for: every int64, uint64 and double is exact.
static_assert(__LDBL_MANT_DIG__ >= 64, "comparing integers with doubles needs an exact common type");

long double Exact(const AggregateNumber& number) {
  switch (number.tag) {
    case NumberTag::kInt:
      return number.as_int();
    case NumberTag::kUint:
      return number.bits;
    default:
      return number.as_double();
  }
}

}  // namespace

AggregateNumber AggregateNumber::OfInt(int64_t value) {
  return {NumberTag::kInt, static_cast<uint64_t>(value)};
}
AggregateNumber AggregateNumber::OfDouble(double value) {
  return {NumberTag::kDouble, std::bit_cast<uint64_t>(value)};
}
AggregateNumber AggregateNumber::Of(const PackToken& token) {
  if (token.type == PackToken::Type::kInt) return OfInt(token.integer);
  if (token.type == PackToken::Type::kUint) return {NumberTag::kUint, token.unsigned_integer};
  return OfDouble(token.real);
}

double AggregateNumber::as_double() const {
  switch (tag) {
    case NumberTag::kInt:
      return static_cast<double>(as_int());
    case NumberTag::kUint:
      return static_cast<double>(bits);
    default:
      return std::bit_cast<double>(bits);
  }
}

bool AddTo(AggregateNumber* sum, const AggregateNumber& value) {
  if (sum->tag == NumberTag::kDouble || value.tag == NumberTag::kDouble) {
    *sum = AggregateNumber::OfDouble(sum->as_double() + value.as_double());
    return true;
  }
  if (value.tag == NumberTag::kUint) {
    // Only a negative sum can take a number above INT64_MAX and come out within it; added as unsigned, the
    // two then wrap round to the exact result.
    if (sum->as_int() >= 0) return false;
    const uint64_t wrapped = sum->bits + value.bits;
    if (wrapped > uint64_t{INT64_MAX}) return false;
    *sum = AggregateNumber::OfInt(static_cast<int64_t>(wrapped));
    return true;
  }
  int64_t result = 0;
  if (__builtin_add_overflow(sum->as_int(), value.as_int(), &result)) return false;
  *sum = AggregateNumber::OfInt(result);
  return true;
}

bool IsLess(const AggregateNumber& a, const AggregateNumber& b) {
  if (a.tag == b.tag && a.tag == NumberTag::kInt) return a.as_int() < b.as_int();
  return Exact(a) < Exact(b);
}

void WriteNumber(const AggregateNumber& number, PackWriter* out) {
  switch (number.tag) {
    case NumberTag::kInt:
      return out->Int(number.as_int());
    case NumberTag::kUint:
      return out->Uint(number.bits);
    case NumberTag::kDouble:
      return out->Double(number.as_double());
    default:
      return out->Nil();
  }
}

}  // namespace millrace
