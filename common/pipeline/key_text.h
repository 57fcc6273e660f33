// Keys are bytes: how a value becomes one.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/job/job_spec.h"
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

// A record's key as fields of its value give it: the same text as the job's `key` makes of a line, but for numbers,
// which are written as JSON writes them. Not thread-safe.
class FieldKey {
 public:
  // REQUIRES: `key` names a field or several.
  explicit FieldKey(KeySpec key) : key_(std::move(key)) {}

  // Several fields as a compact JSON array. INVALID_ARGUMENT, a piece of a line: which field the record lacks. Valid
  // until the next call, and no longer than the record.
  absl::StatusOr<std::string_view> Take(const RecordView& record);

 private:
  absl::StatusOr<std::string_view> TextOf(const RecordView& record, const std::string& path);
  absl::Status AppendMember(const RecordView& record, const std::string& path);

  const KeySpec key_;
  std::string text_;
  std::string list_;
};

}  // namespace millrace
