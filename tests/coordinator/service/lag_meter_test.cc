#include "coordinator/service/lag_meter.h"

#include <gtest/gtest.h>

#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/strings.h"
#include "tests/support/memory_bus.h"
#include "tests/support/metric_value.h"

namespace millrace {
namespace {

constexpr absl::Duration kLongestWait = absl::Seconds(30);

class LagMeterTest : public testing::Test {
 protected:
  LagMeterTest() {
    job_.name = "delays";
    job_.uid = "00000000000000aa";
    job_.partitions = 1;
    const std::string subject = InputSubject(job_.name, kFirstSegment, PartitionId(0));
    StreamConfig stream;
    stream.name = InputStream(job_.name, kFirstSegment, PartitionId(0));
    stream.subjects = {subject};
    EXPECT_TRUE(bus_->CreateStream(stream).ok());
    for (uint64_t n = 1; n <= 2; ++n) {
      const std::string header = FormatMessageHeader(
          {FrameKind::kData, job_.uid, kIngestWriter, Epoch(1), {100 * (n - 1), 0}, {100 * n, 0}, 10 * n});
      AppendRequest request;
      request.subject = subject;
      request.header = header;
      EXPECT_TRUE(bus_->AppendAndWait(request).ok());
      clock_.Advance(absl::Seconds(3));
    }
  }
  // As the buckets would be with `offset` applied; nullopt: nobody ever owned it.
  std::shared_ptr<const ClusterSnapshot> Snapshot(std::optional<uint64_t> offset, bool ended = false) {
    auto snapshot = std::make_shared<ClusterSnapshot>();
    snapshot->jobs["job.delays"] = {"job.delays", Encode(job_), 1};
    if (offset.has_value()) {
      PartitionReport report;
      report.job = job_.name;
      report.uid = job_.uid;
      report.epoch = 1;
      report.offset = *offset;
      report.records_in = 10 * *offset;
      WorkerLease lease;
      lease.name = "w1";
      lease.incarnation = "00000000000000a1";
      lease.state = "ready";
      lease.partitions = {report};
      snapshot->workers["w.w1"] = {"w.w1", Encode(lease), 1};
    }
    FinalStatus final_status;
    final_status.state = "completed";
    const std::string key = "final." + job_.uid;
    if (ended) snapshot->assignments[key] = {key, Encode(final_status), 1};
    return snapshot;
  }
  std::optional<double> Value(const std::string& name) {
    return MetricValue(metrics_.Text(), "millrace_" + name);
  }
  bool Await(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + kLongestWait;
    while (!condition() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
    return condition();
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  JobRecord job_;
  Metrics metrics_;
  LagMeter meter_{*bus_, clock_, metrics_, {.interval = absl::Milliseconds(1), .scaling = {}}};
};

TEST_F(LagMeterTest, ShowsTheLagOfAPartitionThatNobodyOwns) {
  meter_.Update(Snapshot(std::nullopt));
  EXPECT_TRUE(Await([this] { return Value("lag_records") == 20; }));
  EXPECT_TRUE(Await([this] { return Value("oldest_record_seconds") == 6; }));
}

TEST_F(LagMeterTest, FollowsTheOwner) {
  meter_.Update(Snapshot(1));
  EXPECT_TRUE(Await([this] { return Value("lag_records") == 10; }));
  EXPECT_TRUE(Await([this] { return Value("oldest_record_seconds") == 3; }));
  meter_.Update(Snapshot(2));
  EXPECT_TRUE(Await([this] { return Value("lag_records") == 0; }));
  EXPECT_TRUE(Await([this] { return Value("oldest_record_seconds") == 0; }));
}

TEST_F(LagMeterTest, WhoDoesNotLeadShowsNothing) {
  meter_.Update(Snapshot(1));
  EXPECT_TRUE(Await([this] { return Value("lag_records").has_value(); }));
  meter_.Update(nullptr);
  EXPECT_TRUE(Await([this] { return !Value("lag_records").has_value(); }));
}

// A leader that has not assigned yet may not have read of all workers, and has no wish.
TEST_F(LagMeterTest, WhoHasAssignedInItsTermShowsHowManyWorkersThereShouldBe) {
  auto snapshot = std::make_shared<ClusterSnapshot>(*Snapshot(1));
  const auto put = [&](const std::string& key, std::string value) {
    snapshot->assignments[key] = {key, std::move(value), 1};
  };
  put(StrCat(kTermPrefix, 2), Encode(Term{2, "c1", 3000}));
  put(StrCat(kAssignmentPrefix, "1.9"), Encode(Assignment{1, 9, {}}));
  meter_.Update(std::make_shared<ClusterSnapshot>(*snapshot));
  EXPECT_TRUE(Await([this] { return Value("lag_records") == 10; }));
  EXPECT_EQ(Value("workers_wanted"), std::nullopt);
  put(StrCat(kAssignmentPrefix, "2.1"),
      Encode(Assignment{2, 1, {JobAssignment{"delays", job_.uid, false, {"w1"}}}}));
  meter_.Update(snapshot);
  EXPECT_TRUE(Await([this] { return Value("workers_wanted") == 1; }));
  EXPECT_EQ(Value("workers_joined"), 1);
  EXPECT_EQ(Value("workers_needed"), 0);
  meter_.Update(nullptr);
  EXPECT_TRUE(Await([this] { return !Value("workers_wanted").has_value(); }));
}

TEST_F(LagMeterTest, AJobThatHasEndedIsNotBehind) {
  meter_.Update(Snapshot(1));
  EXPECT_TRUE(Await([this] { return Value("lag_records").has_value(); }));
  meter_.Update(Snapshot(1, /*ended=*/true));
  EXPECT_TRUE(Await([this] { return !Value("lag_records").has_value(); }));
}

TEST_F(LagMeterTest, ShowsNothingOldWhileTheBrokerDoesNotAnswer) {
  meter_.Update(Snapshot(1));
  EXPECT_TRUE(Await([this] { return Value("lag_records").has_value(); }));
  bus_->FailControl(absl::UnavailableError("nobody answers"));
  EXPECT_TRUE(Await([this] { return !Value("lag_records").has_value(); }));
  bus_->FailControl(absl::OkStatus());
  EXPECT_TRUE(Await([this] { return Value("lag_records") == 10; }));
}

}  // namespace
}  // namespace millrace
