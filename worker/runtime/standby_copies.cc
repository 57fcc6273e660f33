// Copies of state between this worker and others: those that it keeps of their partitions, and those that they
// make of its own when it leaves.
#include <algorithm>

#include "common/log.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {
namespace {

// Who leaves waits so long for the leader to say who copies what.
constexpr absl::Duration kLeaderReaction = absl::Seconds(1);
// Of the drain timeout: the rest is for what is released without waiting any longer.
constexpr int kCopyingPerDrain = 2;

}  // namespace

void WorkerRuntime::FollowMove(Hosted& hosted, const DesiredPartition& wish) {
  if (hosted.moves == wish.moves) return;
  hosted.moves = wish.moves;
  lanes_[LaneOf(hosted.instance)]->Send(MovePartition{hosted.instance, hosted.moves});
}

// What is owned here, or still on its way out, has a folder that belongs to its owner.
void WorkerRuntime::FollowCopies() {
  if (keeper_ == nullptr) return;
  WantedCopies wanted = desired_copies_;
  std::erase_if(wanted, [this](const auto& entry) {
    return hosted_.contains(entry.first) || desired_.contains(entry.first);
  });
  keeper_->Follow(wanted);
  keeper_->Step();
}

// The partitions go on meanwhile, and stand still only while they change hands.
void WorkerRuntime::AwaitCopies() {
  if (checkpointer_ == nullptr) return;
  membership_->BeginLeaving();
  const absl::Duration began = clock_.Monotonic();
  ends_by_ = began + options_.drain_timeout;
  absl::Duration moved_at = began;
  size_t left = hosted_.size();
  while (!hosted_.empty() && clock_.Monotonic() - began < options_.drain_timeout / kCopyingPerDrain) {
    if (!Turn().ok()) return;
    const bool moves =
        std::any_of(desired_.begin(), desired_.end(), [](const auto& entry) { return entry.second.moves; });
    if (moves || hosted_.size() != left) moved_at = clock_.Monotonic();
    left = hosted_.size();
    if (clock_.Monotonic() - moved_at >= kLeaderReaction) return;
  }
}

}  // namespace millrace
