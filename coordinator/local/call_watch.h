// Ends a command whose user code does not come back. A call cannot be stopped from outside; on a cluster its
// process ends and the next owner counts the attempt (worker/lane/watchdog.h), here there is nobody else, so
// the command says which stage it was and ends. So it does where the code has crashed.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/pipeline/pipeline.h"

namespace millrace {

inline constexpr absl::Duration kCallWatchInterval = absl::Milliseconds(20);
// A call that was under way when a stop signal came may still come to its end.
inline constexpr absl::Duration kInterruptGrace = absl::Milliseconds(200);

// Enter and Leave are for one thread, that of the Step.
class CallWatch final : public CallObserver {
 public:
  enum class Why { kOverran, kInterrupted, kCrashed };
  struct Options {
    std::function<bool()> stop_asked;
    // Called on the watch's thread when a call is given up; the call never returns after that, so whatever
    // its thread owns may be looked at. Expected to end the process.
    std::function<void(Why why, const std::string& stage, absl::Duration timeout)> give_up;
  };

  CallWatch(Clock& clock, Options options);
  ~CallWatch() override;
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  void Enter(Offset offset, uint32_t record, absl::Duration timeout, const std::string& stage) override;
  // Blocks for ever when the call was given up meanwhile.
  void Leave() override;
  void Crash(int signal) override;

  // Gives up a call that is overdue, or has crashed. Called by the watch's thread; by hand in tests.
  void Check();
  void Start();

 private:
  enum State : int { kIdle, kRunning, kGivenUp, kCrashed };

  Clock& clock_;
  const Options options_;
  std::atomic<int> state_{kIdle};
  std::atomic<int64_t> entered_ns_{0};  // monotonic, as the next
  std::atomic<int64_t> timeout_ns_{0};
  std::atomic<const std::string*> stage_{nullptr};
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// How it is said: "stage parse overran its time of 50ms — …". REQUIRES: `why` is not kInterrupted.
std::string DescribeGivenUp(CallWatch::Why why, const std::string& stage, absl::Duration timeout);

}  // namespace millrace
