// A pool of handlers with its socket: what a process keeps for each stage whose code runs elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/handler/handler_pool.h"
#include "common/handler/handler_router.h"
#include "common/mailbox.h"
#include "common/threads.h"

namespace millrace {

// The endpoint as it is bound by the process `worker`: `{worker}` in it is its name.
std::string EndpointOf(const std::string& endpoint, const std::string& worker);

// Binds, and binds again each kBindInterval where that failed: until then calls wait. Steppable: Run is what a
// thread does.
class HandlerServer {
 public:
  // Called by the thread that runs the server, with answers of one asker; must only enqueue.
  using Deliver = std::function<void(uint64_t asker, std::vector<CallAnswer> answers)>;

  // Makes the connection to handlers, when the server runs. UNAVAILABLE: not now.
  using Bind = std::function<absl::StatusOr<std::unique_ptr<HandlerRouter>>()>;

  // With handler processes at the stage's endpoint, or with whom `bind` connects.
  HandlerServer(HandlerPool::Options options, Clock& clock, Deliver deliver);
  HandlerServer(HandlerPool::Options options, Clock& clock, Deliver deliver, Bind bind, Threads& threads);
  ~HandlerServer();

  // --- for any thread
  void Ask(std::vector<HandlerCall> calls);
  void DropAsker(uint64_t asker);
  // The stage is known as this from now on. REQUIRES: of the same endpoint, job and mode.
  void Renew(HandlerStage stage);
  // Ends Run, with a bye to all handlers.
  void Stop();
  // What calls wait for, for people; empty: there are handlers.
  std::string waits_for() const;

  // --- for one thread
  // Until Stop; the endpoint is free then.
  void Run();
  // What came, and what follows from it; waits for it up to `wait`.
  void Step(absl::Duration wait);

 private:
  struct Drop {
    uint64_t asker;
  };
  struct End {};
  using Order = std::variant<std::vector<HandlerCall>, Drop, HandlerStage, End>;

  // Sends through the router as soon as there is one.
  class Link;

  void Tell(Order order);
  void TryToBind();
  void Obey();
  void DeliverAnswers();
  void ShowWaiting();
  void Close();

  const std::string endpoint_;
  Clock& clock_;
  const Deliver deliver_;
  const Bind bind_;
  std::unique_ptr<Link> link_;
  HandlerPool pool_;
  Mailbox<Order> orders_;
  absl::Duration bind_at_;
  bool stopping_ = false;

  mutable absl::Mutex mutex_;
  HandlerRouter* router_ ABSL_GUARDED_BY(mutex_) = nullptr;  // the link's; null: not bound yet
  std::string waits_for_ ABSL_GUARDED_BY(mutex_);
};

inline constexpr absl::Duration kBindInterval = absl::Seconds(1);

}  // namespace millrace
