#include "common/retry_thread.h"

#include <atomic>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(RetryThreadTest, TriesAgainUntilItIsDone) {
  int tries = 0;
  std::vector<std::string> said;
  absl::Notification done;
  {
    RetryThread thread(
        [&](const RetryThread&) {
          if (++tries < 3) return absl::UnavailableError("not yet");
          done.Notify();
          return absl::OkStatus();
        },
        [&](const absl::Status& error) { said.emplace_back(error.message()); }, SystemClock());
    done.WaitForNotification();
  }
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(said, std::vector<std::string>{"not yet"}) << "the same error is said once";
}

TEST(RetryThreadTest, StopsInItsPauseAndInItsWork) {
  absl::Notification failed;
  RetryThread pausing([](const RetryThread&) { return absl::UnavailableError("never"); },
                      [&](const absl::Status&) { failed.Notify(); }, SystemClock());
  failed.WaitForNotification();
  EXPECT_FALSE(pausing.has_ended());
  pausing.Stop();
  absl::Notification begun;
  RetryThread working(
      [&](const RetryThread& thread) {
        begun.Notify();
        while (!thread.stopping()) SystemClock().Sleep(absl::Milliseconds(1));
        return absl::OkStatus();
      },
      [](const absl::Status&) {}, SystemClock());
  begun.WaitForNotification();
}

}  // namespace
}  // namespace millrace
