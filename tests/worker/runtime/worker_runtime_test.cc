// A whole worker, with its threads, on a broker in memory. The test is the leader and the ingest.
#include "worker/runtime/worker_runtime.h"

#include <unistd.h>

#include <filesystem>
#include <thread>

#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kLongEnough = absl::Seconds(30);
constexpr int kExitAfterAll = 3;

class WorkerRuntimeTest : public testing::Test {
 protected:
  WorkerRuntimeTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "millrace-runtime-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
      EXPECT_TRUE(leader_->CreateBucket(bucket).ok());
    }
    EXPECT_TRUE(leader_->PutKey(kAssignmentsBucket, "term.1", Encode(Term{1, "a", 15'000})).ok());
  }
  ~WorkerRuntimeTest() override {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    runtime_.reset();
    std::filesystem::remove_all(folder_);
  }

  // A job of one partition, owned by the worker.
  void MakeJob(const std::string& stages) {
    const auto create = [&](const std::string& name, const std::string& subject) {
      StreamConfig config;
      config.name = name;
      config.subjects = {subject};
      config.description = StreamDescription(key_.uid);
      EXPECT_TRUE(leader_->CreateStream(config).ok());
    };
    create(key_.input_stream(), key_.input_subject());
    create(key_.result_stream(), key_.result_subject());
    create(key_.verdict_stream(), key_.verdict_subject());
    create(DeadLetterStream(key_.job), DeadLetterSubjects(key_.job));
    JobRecord job;
    job.name = key_.job;
    job.uid = key_.uid;
    job.spec_text = StrCat("name: j\nkey: k\npartitions: 1\n", stages);
    job.partitions = 1;
    EXPECT_TRUE(leader_->PutKey(kJobsBucket, "job.j", Encode(job)).ok());
    const Assignment assignment{1, 1, {JobAssignment{key_.job, key_.uid, false, {"w1"}}}};
    EXPECT_TRUE(leader_->PutKey(kAssignmentsBucket, "assign.1.1", Encode(assignment)).ok());
  }
  void Feed(const std::string& payload) {
    AppendRequest request;
    const std::string subject = key_.input_subject();
    request.subject = subject;
    request.payload = payload;
    EXPECT_TRUE(leader_->AppendAndWait(request).ok());
  }

  absl::Status Create(absl::Duration drain_timeout) {
    WorkerOptions options;
    options.name = "w1";
    options.data_dir = folder_ + "/data";
    options.drain_timeout = drain_timeout;
    auto created = WorkerRuntime::Create(
        options,
        [this](const std::string&) -> absl::StatusOr<std::unique_ptr<Bus>> { return broker_.Connect(); },
        SystemClock());
    if (created.ok()) runtime_ = *std::move(created);
    return created.status();
  }
  void Start() {
    ASSERT_TRUE(Create(absl::Seconds(20)).ok());
    thread_ = std::thread([this] { EXPECT_TRUE(runtime_->Run([this] { return stop_.load(); }).ok()); });
  }
  // The partition's report, once it is as `wanted`.
  PartitionReport Await(const std::function<bool(const PartitionReport&)>& wanted) {
    const absl::Time end = absl::Now() + kLongEnough;
    while (absl::Now() < end) {
      for (const PartitionReport& report : runtime_->Reports()) {
        if (wanted(report)) return report;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    ADD_FAILURE() << "it did not come to that";
    return {};
  }
  // Waits until the lane answers no questions any more: user code holds it.
  void AwaitStuckLane() {
    const std::string question = JsonText(
        nlohmann::json{{"verb", "get"}, {"uid", key_.uid}, {"segment", 0}, {"partition", 0}, {"key", "a"}});
    const absl::Time end = absl::Now() + kLongEnough;
    while (absl::Now() < end) {
      const auto lease = leader_->GetKey(kWorkersBucket, "w.w1");
      if (!lease.ok()) continue;
      const auto worker = DecodeWorkerLease(lease->value);
      ASSERT_TRUE(worker.ok());
      const auto answer = leader_->Request(WorkerSubject(worker->incarnation), question, absl::Seconds(1));
      if (absl::IsDeadlineExceeded(answer.status())) return;
    }
    FAIL() << "user code did not hold the lane";
  }

  std::string folder_;
  MemoryBroker broker_{SystemClock()};
  std::unique_ptr<MemoryBus> leader_ = broker_.Connect();
  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(0)};
  std::unique_ptr<WorkerRuntime> runtime_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};
using WorkerRuntimeDeathTest = WorkerRuntimeTest;

TEST_F(WorkerRuntimeTest, RunsWhatItIsAssigned) {
  MakeJob("stages:\n  - aggregate: { n: count() }\n");
  Feed(R"({"k":"a"})");
  Start();
  Await([](const PartitionReport& report) { return report.state == "running" && report.records_in == 1; });
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
