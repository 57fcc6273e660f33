// A unit is all or nothing: what becomes of one that fails, at once, at its next attempt, or when verdicts have used
// its attempts up.
#include <algorithm>

#include "common/pipeline/error_policy.h"
#include "common/pipeline/step_runner.h"
#include "common/strings.h"

namespace millrace {

void StepRunner::ComeAgain(Offset offset, uint32_t position, int tries, absl::Duration pause) {
  resume_.pending = true;
  resume_.offset = offset;
  resume_.record = position;
  resume_.tries = tries;
  resume_.retry_after = pause;
  for (Stage* const stage : chain_.stages) stage->ForgetInspected();
}

void StepRunner::ForgetFailure() {
  chain_.context->failed_stage = nullptr;
  chain_.context->letter_anyway = false;
  chain_.context->due_value = nullptr;
}

absl::Status StepRunner::Attempt(Body body) {
  ForgetFailure();
  state_->BeginRecord();
  absl::Status status = body();
  if (status.ok()) {
    state_->EndRecord();
    chain_.output->Release();
  } else {
    state_->RollbackRecord();
    chain_.output->Drop();
  }
  return status;
}

// What becomes of a unit that failed and left no effect.
absl::Status StepRunner::Settle(const absl::Status& failure, const DeadLetter& letter, bool may_retry,
                                bool* stopped) {
  const Stage* const stage = chain_.context->failed_stage;
  const ErrorPolicy& policy = stage == nullptr ? chain_.job_errors : stage->errors();
  ErrorAction action =
      chain_.context->letter_anyway ? ErrorAction::kReject : DecideOnError(policy, letter.attempts);
  if (action == ErrorAction::kRetryLater && !may_retry) action = ErrorAction::kReject;
  switch (action) {
    case ErrorAction::kSkip:
      ++state_->progress().skipped;
      return absl::OkStatus();
    case ErrorAction::kFailJob:
      return absl::AbortedError(failure.message());
    case ErrorAction::kRetryLater:
      ++state_->progress().retries;
      resume_.retry_after = BackoffAfter(policy.retry.backoff, letter.attempts);
      *stopped = true;
      return absl::OkStatus();
    case ErrorAction::kReject: {
      DeadLetter rejected = letter;
      rejected.error = std::string(failure.message());
      if (stage != nullptr) rejected.stage = stage->name();
      Reject(rejected);
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

void StepRunner::Reject(const DeadLetter& letter) {
  ++state_->progress().dead_letters;
  sink_->Reject(letter);
}

int StepRunner::AttemptsBefore(const StepInput& input, uint32_t position) const {
  if (input.attempts == nullptr || !runs_code_) return 0;
  const auto found = input.attempts->find({input.offset.value(), position});
  return found == input.attempts->end() ? 0 : found->second.all();
}

bool StepRunner::IsSpent(const StepInput& input, uint32_t position) const {
  if (input.attempts == nullptr || !runs_code_) return false;
  const auto found = input.attempts->find({input.offset.value(), position});
  if (found == input.attempts->end()) return false;
  const SpentAttempts& spent = found->second;
  const Stage* const stage = StageNamed(spent.stage);
  const int allowed = AllowedAttempts(stage == nullptr ? chain_.job_errors : stage->errors());
  return spent.overruns >= allowed_attempts_ || (spent.failures > 0 && spent.failures >= allowed) ||
         spent.losses >= std::max(allowed, kLeastHandlerLosses);
}

Stage* StepRunner::StageNamed(std::string_view name) const {
  const auto named = std::find_if(chain_.stages.begin(), chain_.stages.end(),
                                  [&](const Stage* stage) { return stage->name() == name; });
  return named == chain_.stages.end() ? nullptr : *named;
}

absl::Status StepRunner::RefuseSpent(const StepInput& input, uint32_t position) {
  const SpentAttempts& spent = input.attempts->at({input.offset.value(), position});
  chain_.context->failed_stage = StageNamed(spent.stage);
  if (spent.losses > 0) return absl::InvalidArgumentError(StrCat(spent.why, " (", spent.losses, " times)"));
  if (spent.failures > 0) return absl::InvalidArgumentError(spent.why);
  return absl::InvalidArgumentError(
      StrCat("overran its time or ended its process ", spent.overruns, " times"));
}

}  // namespace millrace
