// What a partition hears of its verdict stream.
#include <utility>

#include "worker/partition/partition.h"

namespace millrace {

void Partition::HandleVerdicts(WrittenVerdicts written) {
  FollowVerdictStream(calls().HandleVerdicts(std::move(written)));
}

void Partition::HandleAnswersRead(absl::StatusOr<AnswersRead> read) {
  FollowVerdictStream(calls().HandleAnswersRead(std::move(read)));
}

void Partition::FollowVerdictStream(const absl::Status& status) {
  if (phase_ != Phase::kRunning || status.ok()) return;
  if (absl::IsFailedPrecondition(status)) return Supersede("a later owner has taken the partition over");
  Stop(Phase::kStopped, status);
}

}  // namespace millrace
