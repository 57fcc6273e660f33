// The files that `--input` names.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace {

inline constexpr size_t kMaxInputFiles = 4096;  // they all stand in the job's record

// `inputs` with each pattern (glob(7): `*`, `?`, `[…]`) replaced by the files that it matches, in the order of their
// names by bytes, so that the same files come in the same order wherever it is run. What names a file as it stands is
// taken for that, and `-` for standard input. INVALID_ARGUMENT: a pattern matches nothing, or there are too many.
absl::StatusOr<std::vector<std::string>> ExpandInputs(const std::vector<std::string>& inputs);

}  // namespace millrace
