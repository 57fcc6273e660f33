#include "common/pipeline/error_policy.h"

#include <algorithm>

namespace millrace {

int AllowedAttempts(const ErrorPolicy& policy) {
  return policy.on_error == OnError::kRetry ? std::max(1, policy.retry.attempts) : 1;
}

ErrorAction DecideOnError(const ErrorPolicy& policy, int attempts) {
  switch (policy.on_error) {
    case OnError::kDeadLetter:
      return ErrorAction::kReject;
    case OnError::kSkip:
      return ErrorAction::kSkip;
    case OnError::kFail:
      return ErrorAction::kFailJob;
    case OnError::kRetry:
      return attempts < AllowedAttempts(policy) ? ErrorAction::kRetryLater : ErrorAction::kReject;
  }
  return ErrorAction::kReject;
}

absl::Duration BackoffAfter(const BackoffSpec& backoff, int attempts) {
  absl::Duration wait = backoff.initial;
  for (int i = 1; i < attempts && wait < backoff.maximum; ++i) wait *= 2;
  return std::min(wait, backoff.maximum);
}

}  // namespace millrace
