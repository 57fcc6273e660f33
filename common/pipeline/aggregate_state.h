// The built-in aggregates of one key: how they lie in the state slot, and what a record does to them.
//
// Layout, little endian: a fixed part for each column, in file order, then the bytes of variable length
// (a string that is the least or greatest, a first or last value) in the same order:
//
//   count, distinct   int64 count
//   sum               int64 or double, uint8 tag, 7 bytes zero
//   avg               as sum, then int64 count
//   min, max          int64, uint64 or double, uint8 tag, 3 bytes zero, uint32 length of the string
//   first, last       uint8 tag, 3 bytes zero, uint32 length of the packed value
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/job/job_spec.h"
#include "common/value/msgpack.h"

namespace millrace {

// Different values that one `distinct` counts; a record with one more is an error.
inline constexpr int64_t kMaxDistinct = 10'000;

// A field of the record, as a column takes it. Not present: missing or null.
struct AggregateInput {
  bool present = false;
  PackToken token;
  std::string_view bytes;  // the whole packed value
};

// Two states of one key's windows that are to be one, and what the layout cannot know of it. The spans have an
// entry for each column.
struct AggregateMerge {
  std::string_view first;
  std::string_view second;
  absl::Span<const uint8_t> takes_second;  // of `first` and `last`: whether the second's value is the one
  absl::Span<const int64_t> new_members;   // of `distinct`: how many of the second's values the first has not
};

// Immutable, so any thread may use it.
class AggregateLayout {
 public:
  explicit AggregateLayout(const std::vector<AggregateColumn>& columns);

  // What a record makes of `current` (empty: the key is new), left in `next`. `inputs` and
  // `is_new_member` have an entry for each column; the latter tells a `distinct` whether it counts this value
  // for the first time. INVALID_ARGUMENT, the record's error: a value that a column cannot take, or an
  // overflow; DATA_LOSS: `current` is no such state.
  absl::Status Apply(std::string_view current, absl::Span<const AggregateInput* const> inputs,
                     absl::Span<const uint8_t> is_new_member, std::string* next) const;

  // What the two together are, left in `next`. Errors as Apply's. REQUIRES: neither state is empty.
  absl::Status Merge(const AggregateMerge& merge, std::string* next) const;

  // Appends the output row: one packed value for each column.
  absl::Status AppendRow(std::string_view state, std::string* row) const;

  // Whether any value can make Apply answer INVALID_ARGUMENT.
  bool can_fail() const { return can_fail_; }

 private:
  struct Column {
    AggregateFunction function;
    std::string label;  // "sum(delay)", for messages
    size_t at;          // in the fixed part
  };

  absl::Status ApplyFixed(const Column& column, const AggregateInput& input, bool is_new_member, char* place,
                          std::string_view* blob) const;
  absl::Status MergeColumn(const Column& column, const AggregateMerge& merge, size_t index, const char* other,
                           std::string_view other_blob, char* place, std::string_view* blob) const;

  std::vector<Column> columns_;
  size_t fixed_bytes_ = 0;
  bool has_blobs_ = false;
  bool can_fail_ = false;
};

// What `distinct` knows a value by: its packed bytes, whole doubles as integers (2.0 is 2).
std::string_view DistinctMember(const AggregateInput& input, std::string* scratch);

}  // namespace millrace
