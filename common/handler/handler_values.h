// Values in what handlers send: nothing in them is trusted.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/frame/frame.h"
#include "common/handler/protocol.h"
#include "common/value/msgpack.h"

namespace millrace {

// Passes over one value, and answers its bytes. INVALID_ARGUMENT when it is none that docs/handlers.md allows:
// malformed, nested too deep, an extension type, text that is not UTF-8, a map's key that is no text, number or
// boolean.
absl::StatusOr<std::string_view> TakeHandlerValue(PackReader* reader, int max_depth = kMaxHandlerValueDepth);

// The record's value as a call carries it: one packed value. Raw bytes go as bytes, a row as a map.
void AppendCallValue(const RecordView& record, std::string* out);

}  // namespace millrace
