// The messages between a worker and a handler, but for batches and results: written and read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/handler/protocol.h"

namespace millrace {

// A message as it came: views of its frames. `body` is checked no further than by who reads it.
struct HandlerMessage {
  std::string_view kind;
  std::string_view body;
};

// What a handler says of itself.
struct HandlerRegister {
  std::vector<int64_t> versions;
  std::string name;
  std::string sdk;
  HandlerMode mode = HandlerMode::kKeyed;
  int64_t capacity = 1;
};

struct HandlerWelcome {
  std::string worker, job, uid, stage;
  HandlerMode mode = HandlerMode::kKeyed;
  absl::Duration heartbeat = kHandlerHeartbeat;
  absl::Duration progress = absl::Seconds(1);  // how often it is due
  absl::Duration timeout = absl::Seconds(2);   // of one call
};

struct HandlerProgress {
  std::string_view id;
  int64_t done = 0;
};

// Each of these answers INVALID_ARGUMENT, one line, for what docs/handlers.md does not allow.
absl::StatusOr<HandlerMessage> ReadHandlerMessage(absl::Span<const std::string> frames);
absl::StatusOr<HandlerRegister> ReadRegister(std::string_view body);
absl::StatusOr<HandlerProgress> ReadProgress(std::string_view body);
absl::Status CheckEmptyBody(std::string_view body);

// Bodies of what a worker sends.
std::string WelcomeBody(const HandlerWelcome& welcome);
std::string RefusedBody(std::string_view code, std::string_view why);
std::string EmptyBody();

// `text` as one line of at most kMaxWhyBytes.
std::string OneLineWhy(std::string_view text);

// How often progress is due while a batch is worked on.
absl::Duration ProgressInterval(absl::Duration timeout);

}  // namespace millrace
