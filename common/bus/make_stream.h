// Making a stream through the JetStream API so that it outlives the server's next start.
//
// A server that died while it made the stream has left a folder whose checksum is wrong. It passes that over when it
// starts; a create then takes the folder as it is, and what is appended is gone with the next start (2.9.10 and
// 2.12.1 alike). An update writes the description anew. Only what is new is updated: a stream that has outlived a
// start would be of another age after the next. Where there are copies they come back from their peers.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace millrace {

// $JS.API.<call>
using JetStreamCall =
    absl::FunctionRef<absl::StatusOr<nlohmann::json>(const std::string& call, const nlohmann::json& request)>;

// Answers with what the server says of it. There already with this configuration: no error; with another:
// ALREADY_EXISTS.
inline absl::StatusOr<nlohmann::json> MakeStream(const nlohmann::json& config, JetStreamCall call) {
  const std::string name = config.value("name", std::string());
  const absl::Status there = call(StrCat("STREAM.INFO.", name), nlohmann::json::object()).status();
  if (!there.ok() && !absl::IsNotFound(there)) return there;
  absl::StatusOr<nlohmann::json> made = call(StrCat("STREAM.CREATE.", name), config);
  if (!made.ok() || there.ok() || config.value("num_replicas", 1) > 1) return made;
  return call(StrCat("STREAM.UPDATE.", name), config);
}

}  // namespace millrace
