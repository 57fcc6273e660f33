#include "worker/runtime/handler_pools.h"

#include <atomic>
#include <utility>

#include "common/check.h"
#include "common/handler/handler_server.h"
#include "common/handler/http_calls.h"
#include "common/pipeline/lua_handler.h"
#include "common/strings.h"

namespace millrace {
namespace {

// A thread's code and who watches it.
class WatchedLua final : public PoolCode {
 public:
  WatchedLua(std::unique_ptr<PoolCallWatch> watch, std::unique_ptr<LuaHandler> handler)
      : watch_(std::move(watch)), handler_(std::move(handler)) {}
  std::string Run(std::string_view batch) override { return handler_->Run(batch); }

 private:
  const std::unique_ptr<PoolCallWatch> watch_;
  const std::unique_ptr<LuaHandler> handler_;
};

}  // namespace

// A server and its thread.
class HandlerPools::Pool {
 public:
  Pool(const HandlerStage& of, std::unique_ptr<CallServer> calls, Threads& threads)
      : stage(of), server(std::move(calls)), thread_(threads.Start([this] {
          server->Run();
          ended_ = true;
        })) {}
  ~Pool() {
    Stop();
    thread_->Join();
  }

  void Stop() {
    if (!std::exchange(stopping_, true)) server->Stop();
  }
  bool stopping() const { return stopping_; }
  bool ended() const { return ended_; }

  const HandlerStage stage;  // as it was first known
  const std::unique_ptr<CallServer> server;

 private:
  bool stopping_ = false;  // guarded by the pools' lock
  std::atomic<bool> ended_{false};
  const std::unique_ptr<Thread> thread_;
};

class HandlerPools::Handle final : public StageHandlers {
 public:
  Handle(std::shared_ptr<Pool> pool, uint64_t asker) : pool_(std::move(pool)), asker_(asker) {}
  ~Handle() override { pool_->server->DropAsker(asker_); }
  void Ask(std::vector<HandlerCall> calls) override { pool_->server->Ask(std::move(calls)); }
  std::string waits_for() const override { return pool_->server->waits_for(); }

 private:
  const std::shared_ptr<Pool> pool_;
  const uint64_t asker_;
};

HandlerPools::HandlerPools(Options options, Clock& clock, Threads& threads, CallServer::Deliver deliver)
    : options_(std::move(options)), clock_(clock), threads_(threads), deliver_(std::move(deliver)) {}

HandlerPools::~HandlerPools() = default;

std::unique_ptr<StageHandlers> HandlerPools::Use(const HandlerStage& stage, uint64_t asker) {
  absl::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Pool>& pool : pools_) {
    const bool is_it = pool->stage.uid == stage.uid && pool->stage.endpoint == stage.endpoint &&
                       pool->stage.code == stage.code;
    if (pool->stopping() || !is_it) continue;
    pool->server->Renew(stage);  // an update may have given it another name or timeout
    return std::make_unique<Handle>(pool, asker);
  }
  pools_.push_back(std::make_shared<Pool>(stage, MakeServer(stage), threads_));
  return std::make_unique<Handle>(pools_.back(), asker);
}

HandlerServer::Bind HandlerPools::BindOf(const HandlerStage& stage) const {
  if (!stage.is_ours()) {
    return [endpoint = EndpointOf(stage.endpoint, options_.worker)] { return HandlerRouter::Bind(endpoint); };
  }
  return [this, stage]() -> absl::StatusOr<std::unique_ptr<HandlerRouter>> {
    PoolThreads::Options options;
    options.threads = stage.concurrency;
    options.mode = stage.mode;
    options.make_code = [this, stage]() -> std::unique_ptr<PoolCode> {
      auto watch = options_.watch_thread ? options_.watch_thread(stage) : nullptr;
      auto handler = LuaHandler::Create(*stage.lua, options_.lua_memory_bytes, watch.get());
      MILLRACE_CHECK(handler.ok());  // the pipeline that asks has compiled it
      return std::make_unique<WatchedLua>(std::move(watch), *std::move(handler));
    };
    return std::make_unique<PoolThreads>(std::move(options), threads_);
  };
}

std::unique_ptr<CallServer> HandlerPools::MakeServer(const HandlerStage& stage) {
  ++pools_made_;
  if (stage.http != nullptr) {
    return std::make_unique<HttpCalls>(
        HttpCalls::Options{stage, options_.seed + pools_made_, MakeCallMetrics(*options_.metrics, stage)},
        clock_, deliver_);
  }
  HandlerPool::Options options{stage, options_.worker, StrCat(options_.life, "-", pools_made_),
                               MakeHandlerMetrics(*options_.metrics, stage)};
  return std::make_unique<HandlerServer>(std::move(options), clock_, deliver_, BindOf(stage), threads_);
}

void HandlerPools::Reap() {
  absl::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Pool>& pool : pools_) {
    if (pool.use_count() == 1) pool->Stop();
  }
  std::erase_if(pools_, [](const std::shared_ptr<Pool>& pool) { return pool->stopping() && pool->ended(); });
}

}  // namespace millrace
