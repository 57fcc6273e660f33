// A thread that tries one piece of work until it is done or not wanted any more, with pauses between that grow.
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace millrace {

inline constexpr absl::Duration kFirstRetryPause = absl::Milliseconds(500);
inline constexpr absl::Duration kLongestRetryPause = absl::Seconds(15);

// The same error, of work that should not be tried again before `pause` is over.
absl::Status WithPause(absl::Status error, absl::Duration pause);
std::optional<absl::Duration> PauseOf(const absl::Status& error);

// Thread-safe.
class RetryThread {
 public:
  // OK: done, or it saw that the thread is stopping. Anything else: try again, behind its PauseOf at the earliest.
  using Work = std::function<absl::Status(const RetryThread& thread)>;
  // Hears of each error that differs from the one before.
  using Report = std::function<void(const absl::Status& error)>;

  // Both are called from the thread. The clock outlives it.
  RetryThread(Work work, Report report, Clock& clock);
  ~RetryThread();  // Stop, and waits for the thread
  RetryThread(const RetryThread&) = delete;
  RetryThread& operator=(const RetryThread&) = delete;

  // Does not wait.
  void Stop();
  bool stopping() const;
  bool has_ended() const;

 private:
  void Run();
  bool Pause(absl::Duration pause);  // true: stopping

  const Work work_;
  const Report report_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace millrace
