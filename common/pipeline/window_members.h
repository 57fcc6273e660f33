// The different values that a `distinct` has met in a window, each a row; and how they go when the window does.
//
// A State finds rows by their key and walks them only as a whole, so the rows of a window are chained: each holds the
// value that came before it, and a row of its own, without a value in its key, holds the last. Row keys are: length
// of the key (4 bytes), key, id of the window (8), column (2), value; the values are packed ones and never empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/pipeline/state.h"

namespace millrace {

// Not thread-safe. Errors of all members are the State's.
class WindowMembers {
 public:
  explicit WindowMembers(TableId table) : table_(table) {}

  struct Set {
    std::string_view key;
    uint64_t window = 0;  // OpenWindow::id
    size_t column = 0;
  };
  // Whether the value is new to the set.
  absl::StatusOr<bool> Add(State& state, const Set& set, std::string_view value);
  // Takes all values of `from` over into `into`, and leaves nothing of it. How many were new there.
  absl::StatusOr<int64_t> Move(State& state, const Set& from, const Set& into);
  absl::Status Drop(State& state, const Set& set);

 private:
  // Empties the set, last value first.
  absl::Status TakeEach(State& state, const Set& set,
                        absl::FunctionRef<absl::Status(std::string_view value)> visit);

  const TableId table_;
};

}  // namespace millrace
