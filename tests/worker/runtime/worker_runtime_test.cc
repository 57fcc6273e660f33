#include "worker/runtime/worker_runtime.h"

#include <unistd.h>

#include "common/log.h"
#include "gmock/gmock.h"
#include "tests/support/metric_value.h"
#include "tests/worker/runtime/worker_runtime_fixture.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr int kExitAfterAll = 3;

using WorkerRuntimeDeathTest = WorkerRuntimeTest;

TEST_F(WorkerRuntimeTest, RunsWhatItIsAssigned) {
  MakeJob("stages:\n  - aggregate: { n: count() }\n");
  Feed(R"({"k":"a"})");
  Start();
  Await([](const PartitionReport& report) { return report.state == "running" && report.records_in == 1; });
}

TEST_F(WorkerRuntimeTest, MeasuresHowLongATakeOverTook) {
  MakeJob("stages:\n  - aggregate: { n: count() }\n");
  Start();
  Await([](const PartitionReport& report) { return report.state == "running"; });
  const std::string text = metrics_.Text();
  EXPECT_EQ(MetricValue(text, "millrace_takeover_seconds_count"), 1);
  EXPECT_GT(MetricValue(text, "millrace_takeover_seconds_sum"), 0);
}

TEST_F(WorkerRuntimeTest, HasTheMetricsOfCheckpointsWithoutAStoreToo) {
  ASSERT_EQ(Create(absl::Seconds(20)), absl::OkStatus());
  for (const char* name : {"checkpoint_seconds_count", "restore_seconds_count", "fenced_total"}) {
    EXPECT_EQ(MetricValue(metrics_.Text(), StrCat("millrace_", name)), 0) << name;
  }
}

TEST_F(WorkerRuntimeTest, SaysWhyItCannotRunAJob) {
  MakeJob("stages:\n  - teleport: now\n");
  Start();
  const PartitionReport report =
      Await([](const PartitionReport& said) { return said.uid == "0123456789abcdef"; });
  EXPECT_EQ(report.state, "stopped");
  EXPECT_THAT(report.reason, HasSubstr("teleport"));
}

TEST_F(WorkerRuntimeTest, RemovesTheStateOfAJobThatIsGone) {
  MakeJob("stages:\n  - aggregate: { n: count() }\n");
  const std::string stray = folder_ + "/data/ffffffffffffffff/0-0";
  std::filesystem::create_directories(stray);
  Start();
  Await([](const PartitionReport& report) { return report.state == "running"; });
  const absl::Time end = absl::Now() + kLongEnough;
  while (std::filesystem::exists(stray) && absl::Now() < end) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_FALSE(std::filesystem::exists(stray));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/data/0123456789abcdef/0-0"));
}

// A stage may loop for longer than the grace; the process has to end all the same.
TEST_F(WorkerRuntimeDeathTest, EndsThoughUserCodeDoesNot) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stop_while_stuck = [this] {
    SetUpLogging("worker", LogLevel::kInfo, LogFormat::kText);  // what is said is looked for on stderr
    alarm(static_cast<unsigned>(2 * absl::ToInt64Seconds(kLongEnough)));  // what hangs is a failure, too
    MakeJob("stages:\n  - filter: (function() while true do end end)()\n    timeout: 1h\n");
    Feed(R"({"k":"a"})");
    if (!Create(absl::Milliseconds(100)).ok()) _exit(kExitAfterAll);
    std::thread([this] {
      AwaitStuckLane();
      stop_ = true;
    }).detach();  // the process ends before it could be joined
    static_cast<void>(runtime_->Run([this] { return stop_.load(); }));
    _exit(kExitAfterAll);
  };
  EXPECT_EXIT(stop_while_stuck(), testing::ExitedWithCode(0), "not every partition was released in time");
}

}  // namespace
}  // namespace millrace
