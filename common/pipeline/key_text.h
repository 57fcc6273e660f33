// Keys are bytes: how a value becomes one.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/value/value.h"

namespace millrace {

// A packed value as a key: text as it is, a number or a truth value as JSON writes it. The view is of
// `packed` or of `scratch`. INVALID_ARGUMENT for nil and containers.
absl::StatusOr<std::string_view> KeyTextOf(std::string_view packed, std::string* scratch);

// Likewise for what an expression gave: a list is a key too, as a compact JSON array. The message says what
// is wrong with the expression.
absl::StatusOr<std::string_view> ExpressionKeyText(std::string_view packed, std::string* scratch);

// Why the field makes no key: it is "missing", "null", "a list" or "an object".
std::string_view WhyNoKey(const ValueView& value, std::string_view path);

}  // namespace millrace
