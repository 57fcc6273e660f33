#include "coordinator/dev/supervisor.h"

#include <csignal>
#include <functional>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class SupervisorTest : public testing::Test {
 protected:
  void Start(const std::string& name, const std::string& script,
             std::function<bool(const std::string&)> shows = {}) {
    ASSERT_TRUE(supervisor_.Start({name, {"/bin/sh", "-c", script}, std::move(shows)}).ok());
  }
  bool Said(const std::string& part) const {
    for (const std::string& line : said_) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }
  // Turns until it holds; the bound only ends a test that fails.
  bool TurnUntil(const std::function<bool()>& holds) {
    const absl::Duration until = SystemClock().Monotonic() + absl::Seconds(30);
    while (!holds() && SystemClock().Monotonic() < until) supervisor_.Turn();
    return holds();
  }

  std::vector<std::string> said_;
  Supervisor supervisor_{SystemClock(), [this](const std::string& line) { said_.push_back(line); }};
};

TEST_F(SupervisorTest, PassesOutputOnWithTheChildsName) {
  Start("chatty", "echo out; echo err >&2; echo '[INF] fine'; exec sleep 1000",
        [](const std::string& line) { return line.find("[INF]") == std::string::npos; });
  EXPECT_TRUE(TurnUntil([&] { return Said("out") && Said("err"); }));
  EXPECT_THAT(said_, Contains("chatty | out"));
  EXPECT_THAT(said_, Not(Contains(HasSubstr("[INF]"))));
}

TEST_F(SupervisorTest, StartsAChildThatWasKilledAgainAndSaysSo) {
  Start("worker-1", "exec sleep 1000");
  const pid_t first = supervisor_.PidOf("worker-1");
  ASSERT_EQ(kill(first, SIGKILL), 0);
  ASSERT_TRUE(TurnUntil([&] { return supervisor_.restarts() == 1; }));
  const pid_t second = supervisor_.PidOf("worker-1");
  EXPECT_NE(second, first);
  EXPECT_THAT(said_, Contains(absl::StrCat("worker-1 (pid ", first,
                                           ") was killed by signal 9 — started again as pid ", second,
                                           ", attempt 1")));
}

TEST_F(SupervisorTest, WaitsLongerBeforeEachNewAttemptOfAChildThatKeepsDying) {
  Start("broken", "exit 3");
  const absl::Duration begin = SystemClock().Monotonic();
  ASSERT_TRUE(TurnUntil([&] { return supervisor_.restarts() == 4; }));
  // At once, then after 100, 200 and 400 ms.
  EXPECT_GE(SystemClock().Monotonic() - begin, absl::Milliseconds(700));
  EXPECT_TRUE(Said("ended with exit code 3"));
  EXPECT_TRUE(Said("attempt 4"));
}

TEST_F(SupervisorTest, StopsWhatEndsWhenAskedAndKillsWhatDoesNot) {
  Start("polite", "exec sleep 1000");
  Start("stubborn", "trap '' TERM; echo deaf; while :; do sleep 1; done");
  Start("other", "exec sleep 1000");
  ASSERT_TRUE(TurnUntil([&] { return Said("deaf"); }));
  const pid_t stubborn = supervisor_.PidOf("stubborn");
  supervisor_.Stop({"polite", "stubborn"}, absl::Milliseconds(300));
  EXPECT_TRUE(Said("stubborn"));
  EXPECT_TRUE(Said("did not end in time"));
  EXPECT_FALSE(Said("polite (pid"));
  EXPECT_EQ(kill(stubborn, 0), -1) << "it still runs";
  EXPECT_NE(supervisor_.PidOf("other"), 0);
}

TEST_F(SupervisorTest, SaysWhenThereIsNothingToExecute) {
  ASSERT_TRUE(supervisor_.Start({"ghost", {"/nonexistent/executable"}, {}}).ok());
  EXPECT_TRUE(TurnUntil([&] { return Said("ended with exit code 127"); }));
}

}  // namespace
}  // namespace millrace
