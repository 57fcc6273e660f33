// Numbers as aggregates keep them: exact in 64 bits while they are whole, doubles after the first double.
#pragma once

#include <cstdint>

#include "common/value/msgpack.h"

namespace millrace {

enum class NumberTag : uint8_t { kNone = 0, kInt = 1, kUint = 2, kDouble = 3, kString = 4 };

// A number in place: eight bytes and what they are.
struct AggregateNumber {
  NumberTag tag = NumberTag::kNone;
  uint64_t bits = 0;

  static AggregateNumber OfInt(int64_t value);
  static AggregateNumber OfDouble(double value);
  // REQUIRES: the token is a number.
  static AggregateNumber Of(const PackToken& token);

  int64_t as_int() const { return static_cast<int64_t>(bits); }
  double as_double() const;
};

// False when the sum of two whole numbers does not fit into an int64; `sum` is then unchanged.
bool AddTo(AggregateNumber* sum, const AggregateNumber& value);

// Exact, also between integers and doubles. REQUIRES: no NaN.
bool IsLess(const AggregateNumber& a, const AggregateNumber& b);

void WriteNumber(const AggregateNumber& number, PackWriter* out);  // kNone: nil

}  // namespace millrace
