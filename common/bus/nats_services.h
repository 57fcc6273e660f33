// Core NATS request and reply: asking an owner, and answering.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/bus/nats_connection.h"
#include "common/bus/nats_subscription.h"

namespace millrace {

// Thread-safe. Its end waits until no handler runs any more.
class NatsServices {
 public:
  explicit NatsServices(NatsConnection& connection) : connection_(connection) {}

  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout);
  absl::Status Serve(const std::string& subject, std::function<void(Bus::Incoming)> handler);
  absl::Status Reply(const std::string& reply_to, std::string_view payload);

 private:
  NatsConnection& connection_;
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<NatsSubscription>> services_ ABSL_GUARDED_BY(mutex_);  // by subject
};

}  // namespace millrace
