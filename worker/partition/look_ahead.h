// Looking ahead in a partition's queue while the message at its front waits for calls: what the Step is shown of the
// messages behind, and when it is worth showing it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "common/bus/bus.h"
#include "common/frame/frame.h"
#include "common/frame/input_judge.h"
#include "common/ids.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

inline int64_t BrokerTimeMs(const Message& message) {
  constexpr int64_t kNanosPerMilli = 1'000'000;
  return message.time_ns / kNanosPerMilli;
}

// The message at the front included.
inline constexpr size_t kMaxMessagesLookedAt = 256;

// The messages behind the front, judged under R3 by a copy of the partition's judge: that one moves with what is
// applied only. Nothing is looked at behind a mark of new code, the end of the input, or what cannot be read, nor when the
// rows that are read for it have no room.
class QueueAhead final : public MessagesAhead {
 public:
  // `front`: as its Step is given it; R3 has taken it. `queue` holds it, and must stay as it is while this lives.
  // `has_room`: whether the state may read more into memory.
  QueueAhead(const std::deque<Message>& queue, const InputJudge& judge, const StepInput& front,
             std::function<bool()> has_room)
      : queue_(queue), judge_(judge), front_(front), has_room_(std::move(has_room)) {}

  bool Next(StepInput* input) override;

  // The last message that was looked at, and whether that was all of the queue.
  Offset last_seen() const { return Offset(queue_[seen_ - 1].sequence); }
  bool saw_all() const { return seen_ == queue_.size(); }

 private:
  enum class Sight { kShown, kPassedOver, kEnd };
  Sight Look(const Message& message, StepInput* input);

  const std::deque<Message>& queue_;
  InputJudge judge_;
  const StepInput front_;
  const std::function<bool()> has_room_;
  size_t seen_ = 1;  // of the queue
  FrameView frame_;
};

// Each look runs everything from the front on once more. So there is another one only when it can be expected to
// ask for as much as it repeats: as much has come as was looked at, or half of what was asked is answered.
class LookAheadPace {
 public:
  // A look has ended, with so many calls under way.
  void Looked(Offset last_seen, bool saw_all, size_t outstanding);
  // `front`, `newest`: the messages at both ends of the queue.
  bool IsDue(Offset front, Offset newest, size_t outstanding) const;

 private:
  Offset last_seen_;
  bool saw_all_ = false;
  size_t outstanding_ = 0;  // behind the last look
};

}  // namespace millrace
