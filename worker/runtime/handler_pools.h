// Where stages' calls go in this process, for each stage of a job that makes them: to handler processes, with a socket; to
// threads that run the stage's Lua; or to a service, as requests. Each has a thread of its own besides. Partitions share them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/handler/call_server.h"
#include "common/handler/handler_server.h"
#include "common/handler/pool_thread.h"
#include "common/metrics.h"
#include "common/pipeline/pipeline.h"
#include "common/threads.h"
#include "worker/partition/partition_calls.h"

namespace millrace {

// Thread-safe.
class HandlerPools {
 public:
  struct Options {
    std::string worker;  // its name: `{worker}` in endpoints
    std::string life;    // no other has it, not even this worker's next incarnation
    Metrics* metrics;    // not owned
    // Of one of a pool's threads, for as long as that runs; may answer null.
    std::function<std::unique_ptr<PoolCallWatch>(const HandlerStage& stage)> watch_thread = {};
    size_t lua_memory_bytes = PipelineOptions().lua_memory_bytes;  // of each thread's code
    uint64_t seed = 0;                                             // of pauses
  };
  // `deliver`: as CallServer's; an asker is the number that it was given in Use.
  HandlerPools(Options options, Clock& clock, Threads& threads, CallServer::Deliver deliver);
  // Says bye to all handlers, and waits for the threads, and so for calls that are under way.
  ~HandlerPools();

  // The stage's pool, for `asker`, whose calls are dropped when it lets go. Never waits.
  std::unique_ptr<StageHandlers> Use(const HandlerStage& stage, uint64_t asker);
  // Ends the pools that nobody uses any more. Called from time to time; never waits.
  void Reap();

 private:
  class Pool;
  class Handle;
  std::unique_ptr<CallServer> MakeServer(const HandlerStage& stage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  HandlerServer::Bind BindOf(const HandlerStage& stage) const;

  const Options options_;
  Clock& clock_;
  Threads& threads_;
  const CallServer::Deliver deliver_;
  absl::Mutex mutex_;
  uint64_t pools_made_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<Pool>> pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace
