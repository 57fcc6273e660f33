#include "worker/partition/look_ahead.h"

#include <optional>

#include "absl/status/statusor.h"
#include "common/frame/message_header.h"

namespace millrace {
bool QueueAhead::Next(StepInput* input) {
  if (front_.ends_input || !has_room_()) return false;
  while (seen_ < queue_.size() && seen_ < kMaxMessagesLookedAt) {
    const Sight sight = Look(queue_[seen_], input);
    if (sight == Sight::kEnd) return false;
    ++seen_;
    if (sight == Sight::kShown) return true;
  }
  return false;
}

QueueAhead::Sight QueueAhead::Look(const Message& message, StepInput* input) {
  *input = StepInput();
  input->offset = Offset(message.sequence);
  input->broker_time_ms = BrokerTimeMs(message);
  input->segment = front_.segment;
  input->partition = front_.partition;
  input->partitions = front_.partitions;
  input->attempts = front_.attempts;
  const absl::StatusOr<std::optional<MessageHeader>> header = ReadMessageHeader(message.header);
  if (!header.ok()) return Sight::kEnd;
  if (!header->has_value()) {
    input->stranger = true;
    input->payload = message.payload;
    return Sight::kShown;
  }
  const MessageHeader& ours = **header;
  if (ours.kind == FrameKind::kCode || ours.kind == FrameKind::kEnd) return Sight::kEnd;
  const std::optional<InputJudge::Taken> taken = judge_.Offer(ours);
  if (!taken.has_value()) return Sight::kPassedOver;
  if (!frame_.ParseInto(message.payload).ok()) return Sight::kEnd;
  input->frame = &frame_;
  input->taken_until = taken->taken_until;
  input->watermark_ms = judge_.RaiseWatermark(ours.writer, frame_.watermark_ms());
  return Sight::kShown;
}

void LookAheadPace::Looked(Offset last_seen, bool saw_all, size_t outstanding) {
  last_seen_ = last_seen;
  saw_all_ = saw_all;
  outstanding_ = outstanding;
}

bool LookAheadPace::IsDue(Offset front, Offset newest, size_t outstanding) const {
  if (2 * outstanding < outstanding_) return !saw_all_ || newest > last_seen_;
  if (!saw_all_ || newest <= last_seen_) return false;
  const uint64_t looked_at = last_seen_ < front ? 0 : last_seen_.value() - front.value() + 1;
  return newest.value() - last_seen_.value() >= looked_at;
}

}  // namespace millrace
