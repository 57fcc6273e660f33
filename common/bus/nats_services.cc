#include "common/bus/nats_services.h"

#include <algorithm>
#include <utility>

#include "common/bus/nats_message.h"
#include "common/strings.h"

namespace millrace {

absl::StatusOr<std::string> NatsServices::Request(const std::string& subject, std::string_view payload,
                                                  absl::Duration timeout) {
  natsMsg* reply = nullptr;
  const natsStatus s = natsConnection_Request(&reply, connection_.get(), subject.c_str(), payload.data(),
                                              static_cast<int>(payload.size()),
                                              std::max<int64_t>(1, absl::ToInt64Milliseconds(timeout)));
  const NatsMsgPtr owned(reply);
  if (s != NATS_OK) return connection_.RequestError(s, subject, StrCat("request to ", subject));
  return std::string(Payload(reply));
}

absl::Status NatsServices::Serve(const std::string& subject, std::function<void(Bus::Incoming)> handler) {
  std::unique_ptr<NatsSubscription> ended;  // its end waits for its handler, without the lock
  {
    absl::MutexLock lock(&mutex_);
    std::swap(ended, services_[subject]);
    services_.erase(subject);
  }
  ended.reset();
  if (handler == nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<NatsSubscription>> service = NatsSubscription::Start(
      connection_.get(), subject, Bus::kMaxPendingRequests, [handler = std::move(handler)](NatsMsgPtr msg) {
        const char* reply_to = natsMsg_GetReply(msg.get());
        handler({natsMsg_GetSubject(msg.get()), std::string(Payload(msg.get())),
                 reply_to == nullptr ? "" : reply_to});
      });
  if (!service.ok()) return service.status();
  absl::MutexLock lock(&mutex_);
  services_[subject] = *std::move(service);
  return absl::OkStatus();
}

absl::Status NatsServices::Reply(const std::string& reply_to, std::string_view payload) {
  const natsStatus s = natsConnection_Publish(connection_.get(), reply_to.c_str(), payload.data(),
                                              static_cast<int>(payload.size()));
  return s == NATS_OK ? absl::OkStatus() : NatsError(s, "reply");
}

}  // namespace millrace
