#include "common/bus/nats_services.h"

#include <algorithm>
#include <utility>

#include "common/bus/nats_message.h"
#include "common/strings.h"

namespace millrace {

NatsServices::~NatsServices() {
  std::list<Service> ending;
  {
    absl::MutexLock lock(&mutex_);
    ending.swap(services_);
  }
  for (const Service& service : ending) natsSubscription_Unsubscribe(service.subscription);
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &NatsServices::Idle));
  }
  for (const Service& service : ending) natsSubscription_Destroy(service.subscription);
}

absl::StatusOr<std::string> NatsServices::Request(const std::string& subject, std::string_view payload,
                                                  absl::Duration timeout) {
  natsMsg* reply = nullptr;
  const natsStatus s = natsConnection_Request(&reply, connection_, subject.c_str(), payload.data(),
                                              static_cast<int>(payload.size()),
                                              std::max<int64_t>(1, absl::ToInt64Milliseconds(timeout)));
  const NatsMsgPtr owned(reply);
  if (s != NATS_OK) return NatsError(s, StrCat("request to ", subject));
  return std::string(Payload(reply));
}

absl::Status NatsServices::Serve(const std::string& subject, std::function<void(Bus::Incoming)> handler) {
  absl::MutexLock lock(&mutex_);
  Service& service = services_.emplace_back(Service{this, std::move(handler)});
  natsStatus s = natsConnection_Subscribe(
      &service.subscription, connection_, subject.c_str(),
      [](natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
        const NatsMsgPtr owned(msg);
        const char* reply_to = natsMsg_GetReply(msg);
        static_cast<Service*>(closure)->handler(
            {natsMsg_GetSubject(msg), std::string(Payload(msg)), reply_to == nullptr ? "" : reply_to});
      },
      &service);
  if (s == NATS_OK) {
    ++running_;
    s = natsSubscription_SetOnCompleteCB(
        service.subscription,
        [](void* closure) {
          auto* owner = static_cast<NatsServices*>(closure);
          absl::MutexLock done(&owner->mutex_);
          --owner->running_;
        },
        this);
    return s == NATS_OK ? absl::OkStatus() : NatsError(s, StrCat("serving ", subject));
  }
  services_.pop_back();
  return NatsError(s, StrCat("serving ", subject));
}

absl::Status NatsServices::Reply(const std::string& reply_to, std::string_view payload) {
  const natsStatus s =
      natsConnection_Publish(connection_, reply_to.c_str(), payload.data(), static_cast<int>(payload.size()));
  return s == NATS_OK ? absl::OkStatus() : NatsError(s, "reply");
}

}  // namespace millrace
