#include "common/handler/handler_server.h"

#include <map>
#include <utility>

#include "common/log.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr std::string_view kWorkerInEndpoint = "{worker}";
constexpr int kMostMessagesAStep = 256;  // then deadlines have their turn

}  // namespace

std::string EndpointOf(const std::string& endpoint, const std::string& worker) {
  std::string bound = endpoint;
  const size_t at = bound.find(kWorkerInEndpoint);
  return at == std::string::npos ? bound : bound.replace(at, kWorkerInEndpoint.size(), worker);
}

class HandlerServer::Link : public HandlerLink {
 public:
  bool Send(const std::string& peer, std::string_view kind, std::string_view body) override {
    return router != nullptr && router->Send(peer, kind, body);
  }
  std::unique_ptr<HandlerRouter> router;
};

HandlerServer::HandlerServer(const HandlerPool::Options& options, Clock& clock, Deliver deliver)
    : HandlerServer(
          options, clock, std::move(deliver),
          [endpoint = EndpointOf(options.stage.endpoint, options.worker)] {
            return HandlerRouter::Bind(endpoint);
          },
          SystemThreads()) {}

HandlerServer::HandlerServer(HandlerPool::Options options, Clock& clock, Deliver deliver, Bind bind,
                             Threads& threads)
    : endpoint_(EndpointOf(options.stage.endpoint, options.worker)),
      clock_(clock),
      deliver_(std::move(deliver)),
      bind_(std::move(bind)),
      link_(std::make_unique<Link>()),
      pool_(std::move(options), *link_, clock),
      orders_(threads),
      bind_at_(clock.Monotonic()),
      waits_for_(endpoint_.empty() ? "" : StrCat("waits for a handler at ", endpoint_)) {}

HandlerServer::~HandlerServer() = default;

void HandlerServer::Tell(Order order) {
  orders_.Send(std::move(order));
  absl::MutexLock lock(&mutex_);
  if (router_ != nullptr) router_->Wake();
}

void HandlerServer::Ask(std::vector<HandlerCall> calls) { Tell(std::move(calls)); }
void HandlerServer::DropAsker(uint64_t asker) { Tell(Drop{asker}); }
void HandlerServer::Renew(HandlerStage stage) { Tell(std::move(stage)); }
void HandlerServer::Stop() { Tell(End{}); }

std::string HandlerServer::waits_for() const {
  absl::MutexLock lock(&mutex_);
  return waits_for_;
}

void HandlerServer::TryToBind() {
  const absl::Duration now = clock_.Monotonic();
  if (link_->router != nullptr || now < bind_at_) return;
  bind_at_ = now + kBindInterval;
  absl::StatusOr<std::unique_ptr<HandlerRouter>> router = bind_();
  absl::MutexLock lock(&mutex_);
  if (router.ok()) {
    link_->router = *std::move(router);
    router_ = link_->router.get();
    waits_for_.clear();
    if (endpoint_.empty()) return;  // threads of this process
    LogInfo("listening for handlers", {{"stage", pool_.stage().name}, {"endpoint", endpoint_}});
  } else if (waits_for_ != router.status().message()) {
    LogWarning("no handler can connect", {{"stage", pool_.stage().name}, {"why", router.status()}});
    waits_for_ = std::string(router.status().message());
  }
}

void HandlerServer::Obey() {
  while (const std::unique_ptr<Order> order = orders_.Receive(absl::ZeroDuration())) {
    if (auto* const calls = std::get_if<std::vector<HandlerCall>>(order.get())) {
      for (HandlerCall& call : *calls) pool_.Add(std::move(call));
    } else if (const auto* const drop = std::get_if<Drop>(order.get())) {
      pool_.DropAsker(drop->asker);
    } else if (auto* const stage = std::get_if<HandlerStage>(order.get())) {
      pool_.SetStage(std::move(*stage));
    } else {
      stopping_ = true;
    }
  }
}

void HandlerServer::Step(absl::Duration wait) {
  TryToBind();
  if (link_->router == nullptr) {
    clock_.Sleep(std::min(wait, kPoolTick));
  } else {
    HandlerRouter::Incoming message;
    bool came = link_->router->Receive(wait, &message);
    for (int n = 0; came && n < kMostMessagesAStep; ++n) {
      pool_.Receive(message.peer, std::move(message.frames));
      came = link_->router->Receive(absl::ZeroDuration(), &message);
    }
    if (came) pool_.Receive(message.peer, std::move(message.frames));
  }
  Obey();
  pool_.Work();
  DeliverAnswers();
  ShowWaiting();
}

void HandlerServer::DeliverAnswers() {
  std::map<uint64_t, std::vector<CallAnswer>> by_asker;
  for (CallAnswer& answer : pool_.TakeAnswers()) by_asker[answer.asker].push_back(std::move(answer));
  for (auto& [asker, answers] : by_asker) deliver_(asker, std::move(answers));
}

void HandlerServer::ShowWaiting() {
  if (link_->router == nullptr) return;
  absl::MutexLock lock(&mutex_);
  if (pool_.handlers() > 0) {
    waits_for_.clear();
  } else if (waits_for_.empty()) {
    waits_for_ = StrCat("waits for a handler at ", endpoint_);
  }
}

void HandlerServer::Run() {
  while (!stopping_) Step(kPoolTick);
  pool_.SayBye();
  Close();
}

// The router is given up by this thread, which may wait for what its threads have under way.
void HandlerServer::Close() {
  {
    absl::MutexLock lock(&mutex_);
    router_ = nullptr;
  }
  link_->router.reset();
}

}  // namespace millrace
