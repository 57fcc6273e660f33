// Where a stage's calls go in one process: the pool of handler processes that are registered here, or the requests to
// a service.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/handler/handler_call.h"

namespace millrace {

// Steppable: Run is what a thread does.
class CallServer {
 public:
  // Called by the thread that runs the server, with answers of one asker; must only enqueue.
  using Deliver = std::function<void(uint64_t asker, std::vector<CallAnswer> answers)>;

  virtual ~CallServer() = default;

  // --- for any thread
  virtual void Ask(std::vector<HandlerCall> calls) = 0;
  virtual void DropAsker(uint64_t asker) = 0;
  // The stage is known as this from now on. REQUIRES: of the same endpoint, job and mode.
  virtual void Renew(HandlerStage stage) = 0;
  // Ends Run.
  virtual void Stop() = 0;
  // What calls wait for, for people; empty: nothing special.
  virtual std::string waits_for() const = 0;

  // --- for one thread
  // Until Stop.
  virtual void Run() = 0;
  // What came, and what follows from it; waits for it up to `wait`.
  virtual void Step(absl::Duration wait) = 0;
};

}  // namespace millrace
