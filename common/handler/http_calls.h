// The requests of one stage to its service, of all of the process's partitions that have it: one thread, a bounded
// number on their way.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "common/handler/call_metrics.h"
#include "common/handler/call_server.h"
#include "common/handler/request_queue.h"
#include "common/http/http_transfers.h"
#include "common/http/secret_text.h"

namespace millrace {

class HttpCalls final : public CallServer {
 public:
  struct Options {
    HandlerStage stage;
    uint64_t seed = 0;
    CallMetrics metrics = {};
    SecretSource secrets = SecretOfEnvironment;
  };
  HttpCalls(Options options, Clock& clock, Deliver deliver);

  void Ask(std::vector<HandlerCall> calls) override;
  void DropAsker(uint64_t asker) override;
  void Renew(HandlerStage stage) override;
  void Stop() override;
  std::string waits_for() const override;
  void Run() override;
  void Step(absl::Duration wait) override;

 private:
  struct Orders {
    std::vector<HandlerCall> asked;
    std::vector<uint64_t> dropped;  // of what was asked before
    bool stop = false;
  };
  void Obey();
  bool Start();  // false: nothing may be sent yet
  void Send(const RequestQueue::Out& next);
  void DeliverAnswers();
  bool LookForSecrets();

  const SecretSource secrets_;
  Clock& clock_;
  const Deliver deliver_;
  HttpTransfers transfers_;

  // The thread's.
  HandlerStage stage_;
  RequestQueue queue_;
  std::mt19937_64 random_;
  std::map<std::string, std::string> headers_;
  std::vector<CallAnswer> answers_;
  CallMetrics metrics_;
  RequestQueue::Counts shown_;                                     // in the metrics
  absl::flat_hash_map<RequestQueue::Id, absl::Duration> sent_at_;  // of those that are out
  bool stopping_ = false;

  mutable absl::Mutex mutex_;
  Orders orders_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HandlerStage> renewed_ ABSL_GUARDED_BY(mutex_);
  std::string waits_for_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace
