// Durations ("250ms", "10s", "5m", "1h", "30d") and sizes ("512", "64KiB", "2GiB") as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace millrace {

// Units ns us ms s m h d; a sum is allowed ("1m30s"); not negative. INVALID_ARGUMENT says what was expected.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);
// Units B KB MB GB TB (powers of 1000) and KiB MiB GiB TiB; none is bytes.
absl::StatusOr<uint64_t> ParseSize(std::string_view text);
// The shortest form that reads back the same. Call it with its namespace: abseil has one of that name, which
// lookup finds too.
std::string FormatDuration(absl::Duration duration);
std::string FormatSize(uint64_t bytes);  // for people: "1.5 MiB"

// The candidate nearest to `word`, if near enough (at most a third of its letters changed) to be meant; else
// empty.
std::string NearMiss(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace millrace
