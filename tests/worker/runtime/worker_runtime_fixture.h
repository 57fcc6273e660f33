// A whole worker, with its threads, on a broker in memory. The test is the leader and the ingest.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/names.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_bus.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {

inline constexpr absl::Duration kLongEnough = absl::Seconds(30);

// A connection that, while it is told to, appends nothing.
class DetainedBus final : public ForwardingBus {
 public:
  DetainedBus(std::unique_ptr<Bus> bus, const std::atomic<bool>& detained)
      : ForwardingBus(*bus), bus_(std::move(bus)), detained_(detained) {}
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) override {
    if (detained_) return absl::UnavailableError("this connection is busy");
    return bus_->AppendAndWait(request);
  }

 private:
  const std::unique_ptr<Bus> bus_;
  const std::atomic<bool>& detained_;
};

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
  void Update(uint64_t version, const std::string& stages, uint32_t step_version = 1) {
    const CodeVersion code{version, StrCat("name: j\nkey: k\npartitions: 1\n", stages), step_version, 0};
    EXPECT_TRUE(leader_->CreateKey(kJobsBucket, CodeKey(key_.uid, version), Encode(code)).ok());
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
    options.metrics = &metrics_;
    auto created = WorkerRuntime::Create(
        options,
        [this](const std::string& purpose) -> absl::StatusOr<std::unique_ptr<Bus>> {
          if (purpose != "opener") return broker_.Connect();
          return std::make_unique<DetainedBus>(broker_.Connect(), openers_detained_);
        },
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

  Metrics metrics_;
  std::string folder_;
  MemoryBroker broker_{SystemClock()};
  std::unique_ptr<MemoryBus> leader_ = broker_.Connect();
  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(0)};
  std::unique_ptr<WorkerRuntime> runtime_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> openers_detained_{false};
  std::thread thread_;
};

}  // namespace millrace
