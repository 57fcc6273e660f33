// A pool of threads at work, with the worker's code and no worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/handler/handler_server.h"
#include "common/handler/pool_thread.h"
#include "common/mailbox.h"
#include "integration/bench/tool.h"

namespace millrace::bench {

inline constexpr uint32_t kQuickFrameRecords = 128;
inline constexpr absl::Duration kAnswerWait = absl::Seconds(1);

class RunningPool {
 public:
  RunningPool(const HandlerStage& stage, std::function<std::unique_ptr<PoolCode>()> make_code)
      : server_(
            HandlerPool::Options{stage, "bench", "bench"}, SystemClock(),
            [this](uint64_t, std::vector<CallAnswer> answers) { answers_.Send(std::move(answers)); },
            [stage, make_code] {
              return std::make_unique<PoolThreads>(
                  PoolThreads::Options{stage.concurrency, stage.mode, make_code}, SystemThreads());
            },
            SystemThreads()),
        thread_(SystemThreads().Start([this] { server_.Run(); })) {}
  ~RunningPool() {
    server_.Stop();
    thread_->Join();
  }

  void Ask(std::vector<HandlerCall> calls) { server_.Ask(std::move(calls)); }
  std::vector<CallAnswer> Next() {
    while (true) {
      if (auto answers = answers_.Receive(kAnswerWait)) return std::move(*answers);
    }
  }

 private:
  Mailbox<std::vector<CallAnswer>> answers_;
  HandlerServer server_;
  const std::unique_ptr<Thread> thread_;
};

// Slow calls: `seconds`, `ceiling_seconds` and their `ratio` (slow_calls.cc).
Json RunSlowCalls(CallOrder ordered, size_t count);
// Processor time of a record that goes through a `map` of this `concurrency`, in this process as a whole, in
// microseconds (quick_calls.cc).
absl::StatusOr<double> QuickCallMicros(uint32_t concurrency, uint64_t frames);

}  // namespace millrace::bench
