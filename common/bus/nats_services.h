// Core NATS request and reply: asking an owner, and answering.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/bus/nats_connection.h"

namespace millrace {

// Thread-safe.
class NatsServices {
 public:
  explicit NatsServices(natsConnection* connection) : connection_(connection) {}
  // Waits until no handler runs any more.
  ~NatsServices();
  NatsServices(const NatsServices&) = delete;
  NatsServices& operator=(const NatsServices&) = delete;

  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout);
  absl::Status Serve(const std::string& subject, std::function<void(Bus::Incoming)> handler);
  absl::Status Reply(const std::string& reply_to, std::string_view payload);

 private:
  struct Service {
    NatsServices* owner;
    std::function<void(Bus::Incoming)> handler;
    natsSubscription* subscription = nullptr;
  };
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ == 0; }

  natsConnection* const connection_;
  absl::Mutex mutex_;
  std::list<Service> services_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // subscriptions whose last message is not dealt with
};

}  // namespace millrace
