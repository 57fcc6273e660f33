// How many copies a replicated NATS keeps of a stream or a bucket.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/strings.h"

namespace millrace {

// INVALID_ARGUMENT, for people, unless it is 1, 3 or 5: an even number costs a copy more than the odd one
// below it and survives no more losses.
inline absl::Status CheckReplicas(int64_t copies) {
  if (copies == 1 || copies == 3 || copies == 5) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat("--replicas ", copies, " — NATS keeps 1, 3 or 5 copies — try --replicas 3"));
}

}  // namespace millrace
