// Calls that block, several at once: for asking the broker many small questions.
#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace millrace {

// Calls `work` for every number below `count`, on at most `max_threads` threads (the caller's is one of
// them), and returns when all calls have. After an error none is begun any more; the first one is the answer.
// REQUIRES: max_threads > 0.
absl::Status ParallelFor(size_t count, size_t max_threads, absl::FunctionRef<absl::Status(size_t)> work);

}  // namespace millrace
