#include "common/bus/nats_subscription.h"

#include <utility>

#include "common/strings.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<NatsSubscription>> NatsSubscription::Start(natsConnection* connection,
                                                                          const std::string& subject,
                                                                          int max_pending, Handler handler) {
  std::unique_ptr<NatsSubscription> self(new NatsSubscription(std::move(handler)));
  natsStatus s = natsConnection_Subscribe(
      &self->subscription_, connection, subject.c_str(),
      [](natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
        static_cast<NatsSubscription*>(closure)->handler_(NatsMsgPtr(msg));
      },
      self.get());
  if (s != NATS_OK) return NatsError(s, StrCat("subscription to ", subject));
  s = natsSubscription_SetOnCompleteCB(
      self->subscription_,
      [](void* closure) {
        auto* ended = static_cast<NatsSubscription*>(closure);
        absl::MutexLock lock(&ended->mutex_);
        ended->complete_ = true;
      },
      self.get());
  if (s == NATS_OK) {
    absl::MutexLock lock(&self->mutex_);
    self->complete_ = false;
  }
  if (s == NATS_OK) s = natsSubscription_SetPendingLimits(self->subscription_, max_pending, kNoLimit);
  if (s != NATS_OK) return NatsError(s, StrCat("subscription to ", subject));
  return self;
}

NatsSubscription::~NatsSubscription() {
  if (subscription_ == nullptr) return;
  natsSubscription_Unsubscribe(subscription_);
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&complete_));
  }
  natsSubscription_Destroy(subscription_);
}

}  // namespace millrace
