// What a Step asks before a record passes a `rate_limit` that makes it wait.
//
// Waiting changes neither state nor outputs, only when they come: so it goes by the shell's own time, and
// whoever runs a log for its outcome alone (verify, replay, try, test) has none and never waits.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "common/pipeline/token_bucket.h"

namespace millrace {

// Called on the Step's thread.
class RatePacer {
 public:
  virtual ~RatePacer() = default;
  // Zero: `key` had a token of the stage, and it is taken. Otherwise how long until it has one. The key is empty
  // where a limit is the whole stage's.
  virtual absl::Duration Take(const std::string& stage, std::string_view key, const TokenRule& rule) = 0;
};

}  // namespace millrace
