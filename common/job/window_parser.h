// The `window` stage: `{ tumbling: 1h, lateness: 1m, aggregate: { flights: count() } }`.
#pragma once

#include <string_view>

#include "common/job/job_spec.h"
#include "common/job/yaml_reader.h"

namespace millrace {

// A record is in at most so many windows of a sliding kind: each of them is state of its own.
inline constexpr int64_t kMaxWindowsOfRecord = 1000;

// Names that the stage gives to a window's bounds; no column may have one.
inline constexpr std::string_view kWindowStartField = "window_start";
inline constexpr std::string_view kWindowEndField = "window_end";

// `value` is what stands at the key `window`.
WindowStage ParseWindow(const YamlNode& value, YamlReader* reader);

}  // namespace millrace
