// A subscription whose messages go to a handler on a thread of the client, status messages too: the client's
// synchronous subscriptions keep "no responders" to themselves.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/nats_connection.h"

namespace millrace {

class NatsSubscription {
 public:
  using Handler = std::function<void(NatsMsgPtr)>;  // must only enqueue

  // Of messages that the handler did not take yet the client keeps `max_pending`, and drops more.
  static constexpr int kNoLimit = -1;
  static absl::StatusOr<std::unique_ptr<NatsSubscription>> Start(natsConnection* connection,
                                                                 const std::string& subject, int max_pending,
                                                                 Handler handler);
  // Waits until the handler runs no more. REQUIRES: the connection was not destroyed yet.
  ~NatsSubscription();
  NatsSubscription(const NatsSubscription&) = delete;
  NatsSubscription& operator=(const NatsSubscription&) = delete;

 private:
  explicit NatsSubscription(Handler handler) : handler_(std::move(handler)) {}

  const Handler handler_;
  natsSubscription* subscription_ = nullptr;
  absl::Mutex mutex_;
  bool complete_ ABSL_GUARDED_BY(mutex_) = true;
};

}  // namespace millrace
