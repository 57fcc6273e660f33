// Which JetStream stream holds a subject: where a source is read from, and where results are published to.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"

namespace millrace {

// Whether all of `subject`, which may be a pattern, is among the stream's subjects.
bool HoldsSubject(const StreamConfig& stream, std::string_view subject);

// The stream that holds it; nothing where none does. Streams of ours and of the server's are not looked at.
// Errors are the bus's.
absl::StatusOr<std::optional<StreamInfo>> FindHolder(Bus& bus, std::string_view subject);

}  // namespace millrace
