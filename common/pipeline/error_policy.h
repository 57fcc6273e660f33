// What `on_error` and `retry` make of a record that failed.
#pragma once

#include "absl/time/time.h"
#include "common/job/job_spec.h"

namespace millrace {

enum class ErrorAction { kReject, kSkip, kFailJob, kRetryLater };

// `attempts`: how often the record was tried, this failure included.
ErrorAction DecideOnError(const ErrorPolicy& policy, int attempts);

// How often a record may be tried in all.
int AllowedAttempts(const ErrorPolicy& policy);

// How long to wait before the next try, after `attempts` of them: doubled from `initial` up to `maximum`. A
// function of its arguments alone, because replay must take the same steps.
absl::Duration BackoffAfter(const BackoffSpec& backoff, int attempts);

}  // namespace millrace
