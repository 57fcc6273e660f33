#include "worker/runtime/handler_pools.h"

#include <atomic>
#include <utility>

#include "common/strings.h"

namespace millrace {

// A server and its thread.
class HandlerPools::Pool {
 public:
  Pool(HandlerPool::Options options, Clock& clock, Threads& threads, HandlerServer::Deliver deliver)
      : endpoint(options.stage.endpoint),
        uid(options.stage.uid),
        server(std::move(options), clock, std::move(deliver)),
        thread_(threads.Start([this] {
          server.Run();
          ended_ = true;
        })) {}
  ~Pool() {
    Stop();
    thread_->Join();
  }

  void Stop() {
    if (!std::exchange(stopping_, true)) server.Stop();
  }
  bool stopping() const { return stopping_; }
  bool ended() const { return ended_; }

  const std::string endpoint, uid;
  HandlerServer server;

 private:
  bool stopping_ = false;  // guarded by the pools' lock
  std::atomic<bool> ended_{false};
  const std::unique_ptr<Thread> thread_;
};

class HandlerPools::Handle final : public StageHandlers {
 public:
  Handle(std::shared_ptr<Pool> pool, uint64_t asker) : pool_(std::move(pool)), asker_(asker) {}
  ~Handle() override { pool_->server.DropAsker(asker_); }
  void Ask(std::vector<HandlerCall> calls) override { pool_->server.Ask(std::move(calls)); }
  std::string waits_for() const override { return pool_->server.waits_for(); }

 private:
  const std::shared_ptr<Pool> pool_;
  const uint64_t asker_;
};

HandlerPools::HandlerPools(Options options, Clock& clock, Threads& threads, HandlerServer::Deliver deliver)
    : options_(std::move(options)), clock_(clock), threads_(threads), deliver_(std::move(deliver)) {}

HandlerPools::~HandlerPools() = default;

std::unique_ptr<StageHandlers> HandlerPools::Use(const HandlerStage& stage, uint64_t asker) {
  absl::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Pool>& pool : pools_) {
    if (pool->stopping() || pool->endpoint != stage.endpoint || pool->uid != stage.uid) continue;
    pool->server.Renew(stage);  // an update may have given it another name or timeout
    return std::make_unique<Handle>(pool, asker);
  }
  HandlerPool::Options options{stage, options_.worker, StrCat(options_.life, "-", ++pools_made_),
                               MakeHandlerMetrics(*options_.metrics, stage)};
  pools_.push_back(std::make_shared<Pool>(std::move(options), clock_, threads_, deliver_));
  return std::make_unique<Handle>(pools_.back(), asker);
}

void HandlerPools::Reap() {
  absl::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Pool>& pool : pools_) {
    if (pool.use_count() == 1) pool->Stop();
  }
  std::erase_if(pools_, [](const std::shared_ptr<Pool>& pool) { return pool->stopping() && pool->ended(); });
}

}  // namespace millrace
