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
#include "common/handler/call_server.h"
#include "common/handler/handler_pool.h"
#include "common/handler/handler_router.h"
#include "common/mailbox.h"
#include "common/threads.h"

namespace millrace {

// The endpoint as it is bound by the process `worker`: `{worker}` in it is its name.
std::string EndpointOf(const std::string& endpoint, const std::string& worker);

// Binds, and binds again each kBindInterval where that failed: until then calls wait.
class HandlerServer final : public CallServer {
 public:
  // Makes the connection to handlers, when the server runs. UNAVAILABLE: not now.
  using Bind = std::function<absl::StatusOr<std::unique_ptr<HandlerRouter>>()>;

  // With handler processes at the stage's endpoint, or with whom `bind` connects.
  HandlerServer(const HandlerPool::Options& options, Clock& clock, Deliver deliver);
  HandlerServer(HandlerPool::Options options, Clock& clock, Deliver deliver, Bind bind, Threads& threads);
  ~HandlerServer() override;

  void Ask(std::vector<HandlerCall> calls) override;
  void DropAsker(uint64_t asker) override;
  void Renew(HandlerStage stage) override;
  // With a bye to all handlers; the endpoint is free when Run has ended.
  void Stop() override;
  std::string waits_for() const override;
  void Run() override;
  void Step(absl::Duration wait) override;

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
