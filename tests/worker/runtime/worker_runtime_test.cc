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

TEST_F(WorkerRuntimeTest, PassesToNewCodeThatRunsUserCodeWhereNoneRan) {
  MakeJob("stages:\n  - aggregate: { n: count() }\n");
  Feed(R"({"k":"a"})");
  Start();
  Await([](const PartitionReport& report) { return report.records_in == 1; });
  Update(1, "stages:\n  - filter: r.v > 0\n  - aggregate: { n: count() }\n");
  const PartitionReport updated = Await(
      [](const PartitionReport& report) { return report.state == "running" && report.code_version == 1; });
  EXPECT_EQ(updated.records_in, 1u);
  EXPECT_GT(updated.epoch, 1u) << "it was not opened with its verdicts";
  Feed(R"({"k":"a","v":0})");
  Feed(R"({"k":"a","v":1})");
  const PartitionReport after = Await([](const PartitionReport& report) { return report.records_in == 3; });
  EXPECT_EQ(after.records_out, 2u);
}

TEST_F(WorkerRuntimeTest, PassesToNewCodeWithoutLettingGo) {
  MakeJob("stages:\n  - filter: r.v > 5\n  - aggregate: { n: count() }\n");
  Start();
  Await([](const PartitionReport& report) { return report.state == "running"; });
  Update(1, "stages:\n  - filter: r.v > 0\n  - aggregate: { n: count() }\n");
  EXPECT_EQ(Await([](const PartitionReport& report) { return report.code_version == 1; }).epoch, 1u);
  Feed(R"({"k":"a","v":1})");
  EXPECT_EQ(Await([](const PartitionReport& report) { return report.records_in == 1; }).records_out, 1u);
}

TEST_F(WorkerRuntimeTest, LetsGoOfAJobWhoseNewCodeItCannotRun) {
  MakeJob("stages:\n  - aggregate: { n: count() }\n");
  Feed(R"({"k":"a"})");
  Start();
  Await([](const PartitionReport& report) { return report.records_in == 1; });
  Update(1, "stages:\n  - aggregate: { n: count() }\n", /*step_version=*/StepVersion() + 1);
  const PartitionReport report = Await([](const PartitionReport& said) { return said.state == "stopped"; });
  EXPECT_THAT(report.reason, HasSubstr("step version"));
}

TEST_F(WorkerRuntimeTest, VerdictsAreWrittenWhateverHoldsTheOpenersUp) {
  MakeJob(
      "stages:\n  - call: { http: 'http://127.0.0.1:1/x', result: r }\n    retry: { attempts: 1, backoff: "
      "1ms }\n");
  Start();
  Await([](const PartitionReport& report) { return report.state == "running"; });
  openers_detained_ = true;
  Feed(R"({"k":"a"})");
  Await([](const PartitionReport& report) { return report.dead_letters == 1; });
  openers_detained_ = false;
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
