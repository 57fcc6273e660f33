// A ROUTER socket that handlers connect to. handler_router.cc knows zmq.hpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/handler/handler_pool.h"

namespace millrace {

// For one thread, but for Wake.
class HandlerRouter : public HandlerLink {
 public:
  // `endpoint`: ipc://PATH or tcp://ADDRESS:PORT. UNAVAILABLE, one line: it cannot be bound now. A socket file
  // that an ended process has left is replaced.
  static absl::StatusOr<std::unique_ptr<HandlerRouter>> Bind(const std::string& endpoint);

  struct Incoming {
    std::string peer;
    std::vector<std::string> frames;
  };
  // Waits up to `wait` for a message, or for Wake. False: none came.
  virtual bool Receive(absl::Duration wait, Incoming* message) = 0;
  // Ends a wait that is under way or comes next. For any thread.
  virtual void Wake() = 0;
};

}  // namespace millrace
