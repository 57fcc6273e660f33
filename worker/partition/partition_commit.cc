// How a partition makes what it has done last: commits (R1, R2), and the checkpoints made from them.
#include <algorithm>

#include "common/check.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "worker/partition/partition.h"

namespace millrace {
namespace {

constexpr absl::Duration kMovingCheckpointInterval = absl::Seconds(1);  // while its state is copied ahead
constexpr absl::Duration kAskStandingAgain = absl::Milliseconds(200);   // when the broker did not answer

}  // namespace

CommitRow Partition::MakeCommitRow() const {
  CommitRow row;
  row.uid = key().uid;
  row.segment = key().segment;
  row.partition = key().partition;
  row.offset = offset_;
  row.input_created_ns = opened_->input_created_ns;
  row.offset_time_ns = offset_time_ns_;
  row.input_cursors =
      (cursors_before_front_.has_value() ? *cursors_before_front_ : input_.cursors()).Encode();
  row.result_created_ns = opened_->result_created_ns;
  outputs_->FillCommitRow(&row);
  row.progress = opened_->store->progress();
  return row;
}

// Between two messages only: in the middle of one (a retry that waits) the state holds a part of its effects. One
// that waits for calls has had none, and does not hold a commit up.
void Partition::MaybeCommit() {
  if (commit_in_progress_ || retrying_ || offset_ == committed_offset_) return;
  if (phase_ != Phase::kRunning && phase_ != Phase::kReleasing) return;
  const absl::Duration now = clock_.Monotonic();
  const bool due = commit_pace_.IsDue(now, code().commit_interval, ports_.PartitionsOnLane()) ||
                   opened_->store->wants_commit() || phase_ == Phase::kReleasing ||
                   opened_->store->progress().ended || (moves_ && committed_offset_ < moves_from_);
  if (!due) return;
  commit_in_progress_ = true;
  commit_pace_.Begin(now);
  commit_offset_ = offset_;
  frozen_ = opened_->store->Freeze(MakeCommitRow());
  commit_bytes_ = frozen_->bytes();
  commit_pace_.SetCost(clock_.Monotonic() - now);
  CheckInvariants();
  MILLRACE_FAILPOINT("after_freeze");
}

// Rule R2: the write follows the acknowledgement of everything that it calls done.
void Partition::MaybeWriteCommit() {
  if (frozen_ == nullptr || phase_ == Phase::kReleased) return;
  const bool acked = outputs_->AckedUpTo(commit_offset_) && dead_letters_.AckedUpTo(commit_offset_);
  if (!acked && !MILLRACE_DEFECT("commit_before_ack")) return;
  if (!IsOwnerOfAcked()) return;
  standing_ = Standing::kUnknown;
  MILLRACE_FAILPOINT("between_ack_and_commit");
  ports_.WriteCommit(*opened_->store, std::move(frozen_));
}

// The result stream's expected sequences refuse whoever was superseded. The streams of the next segment have
// many writers and refuse nobody: what they acknowledged may be behind a later owner's epoch mark, where no
// reader takes it. A claim comes before its mark; so as long as there is none, all that is acknowledged counts
// (R4).
bool Partition::IsOwnerOfAcked() {
  if (results_ != nullptr || standing_ == Standing::kOwner || MILLRACE_DEFECT("fencing_off")) return true;
  if (standing_ == Standing::kUnknown && clock_.Monotonic() >= ask_standing_at_) {
    standing_ = Standing::kAsked;
    ports_.LookForLaterOwner(epoch());
  }
  return false;
}

void Partition::HandleLaterOwner(const absl::StatusOr<bool>& exists) {
  if (phase_ == Phase::kReleased || phase_ == Phase::kStopped) return;
  if (exists.ok() && *exists) {
    LogWarning("a later owner has taken the partition over", {{"partition", key().ToString()}});
    return Supersede("a later owner has taken the partition over");
  }
  standing_ = exists.ok() ? Standing::kOwner : Standing::kUnknown;
  ask_standing_at_ = clock_.Monotonic() + (exists.ok() ? absl::ZeroDuration() : kAskStandingAgain);
  Tick();
}

void Partition::MaybeConfirmEnd() {
  if (end_confirmed_ || commit_in_progress_ || !outputs_->end_acked()) return;
  if (!opened_->store->progress().ended || committed_offset_ != offset_ || !IsOwnerOfAcked()) return;
  standing_ = Standing::kUnknown;
  end_confirmed_ = true;
}

void Partition::HandleCommitted(const absl::Status& status, absl::Duration took) {
  commit_in_progress_ = false;
  if (phase_ == Phase::kReleased) return;
  if (!status.ok()) {
    opened_->store->OnCommitFailed(status);
    if (!abandoned_) Stop(Phase::kStopped, status);
  } else {
    opened_->store->OnCommitted();
    committed_offset_ = commit_offset_;
    ports_.ShowProgress(offset_, committed_offset_);
    committed_at_ms_ = absl::ToUnixMillis(clock_.Now());
    commit_pace_.AddCost(took);
    metrics_.commit_seconds.Observe(absl::ToDoubleSeconds(took));
    metrics_.commit_bytes.Observe(static_cast<double>(commit_bytes_));
  }
  Tick();
}

// For a move the first is made at once, and the others so that the copy has little to make up for.
bool Partition::IsCheckpointDue(absl::Duration now) const {
  if (moves_ && first_for_move_due_) return committed_offset_ >= moves_from_;
  const absl::Duration interval = moves_ ? std::min(kMovingCheckpointInterval, options_.checkpoint_interval)
                                         : options_.checkpoint_interval;
  return checkpoint_pace_.IsDue(now, interval, ports_.PartitionsOnLane());
}

// From the last commit, whatever has been applied since; one at a time.
void Partition::MaybeCheckpoint() {
  if (options_.checkpoint_interval == absl::InfiniteDuration() || phase_ != Phase::kRunning) return;
  if (disk_busy() || checkpoint_in_progress_ || committed_offset_ <= checkpoint_offset_) return;
  const absl::Duration now = clock_.Monotonic();
  if (!IsCheckpointDue(now) || !ports_.MayAct()) return;
  checkpoint_pace_.Begin(now);
  first_for_move_due_ = false;
  linking_checkpoint_ = true;
  checkpoint_in_progress_ = true;
  ports_.LinkCheckpoint(*opened_->store, opened_->segment().job.retain == Retain::kResults);
}

void Partition::HandleCheckpointLinked(const absl::Status& status) {
  linking_checkpoint_ = false;
  if (!status.ok()) checkpoint_in_progress_ = false;
  Tick();
}

void Partition::HandleCheckpointStored(const absl::StatusOr<Offset>& stored, absl::Duration took) {
  checkpoint_in_progress_ = false;
  checkpoint_pace_.SetCost(took);
  if (stored.ok()) checkpoint_offset_ = *stored;
}

}  // namespace millrace
