#include "common/retry_thread.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kPausePayload[] = "millrace.pause_ms";

}  // namespace

absl::Status WithPause(absl::Status error, absl::Duration pause) {
  error.SetPayload(kPausePayload, absl::Cord(StrCat(absl::ToInt64Milliseconds(pause))));
  return error;
}

std::optional<absl::Duration> PauseOf(const absl::Status& error) {
  const absl::optional<absl::Cord> payload = error.GetPayload(kPausePayload);
  int64_t pause_ms = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &pause_ms)) return std::nullopt;
  return absl::Milliseconds(pause_ms);
}

RetryThread::RetryThread(Work work, Report report, Clock& clock)
    : work_(std::move(work)), report_(std::move(report)), clock_(clock), thread_([this] { Run(); }) {}

RetryThread::~RetryThread() {
  Stop();
  thread_.join();
}

void RetryThread::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
}

bool RetryThread::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

bool RetryThread::has_ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

bool RetryThread::Pause(absl::Duration pause) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause);
  return stopping_;
}

void RetryThread::Run() {
  absl::Duration pause = kFirstRetryPause;
  absl::Status said;
  while (!stopping()) {
    const absl::Duration begun = clock_.Monotonic();
    const absl::Status status = work_(*this);
    if (status.ok() || stopping()) break;
    if (clock_.Monotonic() - begun > kLongestRetryPause) pause = kFirstRetryPause;
    if (said != status) report_(said = status);
    if (Pause(std::max(pause, PauseOf(status).value_or(absl::ZeroDuration())))) break;
    pause = std::min(2 * pause, kLongestRetryPause);
  }
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

}  // namespace millrace
