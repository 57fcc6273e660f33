// The Bus over the NATS C client, whose header nats_connection.h alone includes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"

namespace millrace {

struct NatsOptions {
  std::string url = "nats://127.0.0.1:4222";
  std::string creds, tls_ca, tls_cert, tls_key;
  std::string client_name = "millrace";
  // Replies come to subjects behind this and a dot: the server can let each user hear its own alone.
  std::string inbox_prefix = "_INBOX";
  // How long Connect may try before it gives up with UNAVAILABLE; afterwards a lost connection is sought
  // again for ever, with jitter.
  absl::Duration connect_deadline = absl::Seconds(5);
  // Writes to the socket with every call, instead of up to a millisecond later with what has come together
  // by then: for a connection that appends large messages, or few, and somebody waits for them.
  bool sends_at_once = false;
  uint64_t seed = 0;  // for jitter; 0: from the system
  // Messages that Poll has not taken: at so many readers stop asking for more, at four times as many what
  // comes all the same is dropped, and asked for again.
  size_t max_queued_events = 65536;
};

// UNAVAILABLE: cannot connect (says where and why). FAILED_PRECONDITION: the server has no JetStream.
absl::StatusOr<std::unique_ptr<Bus>> ConnectNats(const NatsOptions& options, Clock& clock);

}  // namespace millrace
