// One connection to a NATS server: made with a deadline, sought again for ever once it was there.
#pragma once

#include <nats/nats.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/nats_bus.h"
#include "common/log_gate.h"

namespace millrace {

struct NatsMsgDeleter {
  void operator()(natsMsg* msg) const { natsMsg_Destroy(msg); }
};
using NatsMsgPtr = std::unique_ptr<natsMsg, NatsMsgDeleter>;

// What the caller can do about a client error: see bus.h. `what` begins the message.
absl::Status NatsError(natsStatus status, std::string_view what);

// Told of a connection lost and found. Called on a thread of the client: only enqueues.
class ConnectionListener {
 public:
  virtual ~ConnectionListener() = default;
  virtual void OnDisconnected() = 0;
  virtual void OnReconnected() = 0;
};

// Thread-safe.
class NatsConnection {
 public:
  // `listener` must outlive the connection.
  static absl::StatusOr<std::unique_ptr<NatsConnection>> Connect(const NatsOptions& options, Clock& clock,
                                                                 ConnectionListener& listener);
  // Closes, and waits until no callback runs any more.
  ~NatsConnection();
  NatsConnection(const NatsConnection&) = delete;
  NatsConnection& operator=(const NatsConnection&) = delete;

  natsConnection* get() const { return connection_; }
  bool connected() const { return natsConnection_Status(connection_) == NATS_CONN_STATUS_CONNECTED; }
  // The server that answers now, as nats://host:port.
  std::string Url() const;
  // Why nothing answered a request to `subject`; `what` begins the message. PERMISSION_DENIED where the server has
  // refused this user to publish there: it tells of that beside the request, which then waits in vain.
  absl::Status RequestError(natsStatus status, const std::string& subject, std::string_view what) const;
  int64_t max_payload() const { return natsConnection_GetMaxPayload(connection_); }

 private:
  NatsConnection(ConnectionListener& listener, Clock& clock, uint64_t seed);
  absl::Status Configure(const NatsOptions& options);
  absl::Status ConnectUntil(absl::Duration deadline, const std::string& url, Clock& clock);
  int64_t ReconnectDelayMs(int attempts);
  // What the server or the client complains of while the connection stays: a permission, a slow consumer.
  void SayError(natsConnection* connection, natsStatus status);

  ConnectionListener& listener_;
  Clock& clock_;
  natsOptions* options_ = nullptr;
  natsConnection* connection_ = nullptr;
  mutable absl::Mutex mutex_;
  std::deque<std::string> refused_ ABSL_GUARDED_BY(mutex_);  // subjects that this user may not publish to
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  LogGate errors_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace
