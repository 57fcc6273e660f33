#include "coordinator/scaling/load_meter.h"

#include <gtest/gtest.h>

#include <cmath>

namespace millrace {
namespace {

constexpr char kLoadUid[] = "00000000000000aa";
constexpr absl::Duration kBeat = absl::Seconds(5);

// Worker `a` owns partition 0, worker `b` partition 1, of a job with one segment. Each beat is a lease of both and a look at
// the logs.
class LoadMeterTest : public testing::Test {
 protected:
  LoadMeterTest() {
    JobRecord job;
    job.name = "delays";
    job.uid = kLoadUid;
    job.partitions = 2;
    cluster_.jobs["delays"] = job;
    cluster_.term = Term{1, "c1", 15'000};
    cluster_.assignment = Assignment{1, 1, {JobAssignment{"delays", kLoadUid, false, {"a", "b"}}}};
    for (const uint32_t p : {0u, 1u}) {
      WorkerLease& lease = worker(p).lease;
      lease.name = p == 0 ? "a" : "b";
      lease.process = lease.name;
      lease.state = "ready";
      lease.lanes = 2;
      PartitionReport& report = lease.partitions.emplace_back();
      report.uid = kLoadUid;
      report.partition = p;
      report.epoch = 1;
      report.state = "running";
    }
  }
  WorkerSeen& worker(uint32_t p) { return cluster_.workers[p == 0 ? "a" : "b"]; }
  PartitionReport& report(uint32_t p) { return worker(p).lease.partitions[0]; }

  // In a beat each partition takes so many records of so many that arrive, two to a message, and is busy for a share of it.
  ClusterLoad Beat(uint64_t arrive, uint64_t take, double busy) {
    now_ += kBeat;
    cluster_.newest_lease_ns = absl::ToInt64Nanoseconds(now_);
    for (const uint32_t p : {0u, 1u}) {
      worker(p).renewed_ns = absl::ToInt64Nanoseconds(now_);
      report(p).records_in += take;
      report(p).offset += take / 2;
      report(p).busy_us += static_cast<uint64_t>(std::llround(busy * absl::ToDoubleMicroseconds(kBeat)));
      logs_[kLoadUid][p].end += arrive / 2;
      records_[p] += arrive;
      const bool asked = counted_ && logs_[kLoadUid][p].end > report(p).offset;
      logs_[kLoadUid][p].records = asked ? std::optional(records_[p]) : std::nullopt;
    }
    return meter_.Look(cluster_, logs_, now_);
  }

  Cluster cluster_;
  JobLogs logs_ = {{kLoadUid, std::vector<PartitionLog>(2)}};
  uint64_t records_[2] = {0, 0};
  bool counted_ = true;
  LoadMeter meter_;
  absl::Duration now_ = absl::Hours(1);
};

TEST_F(LoadMeterTest, OneLookTellsNoRate) {
  const ClusterLoad load = Beat(1000, 500, 0.4);
  EXPECT_FALSE(load.whole);
  EXPECT_EQ(load.partitions, 2u);
  EXPECT_EQ(load.joined, 2u);
  EXPECT_EQ(load.lanes, 2);
}

TEST_F(LoadMeterTest, MakesRatesOfWhatOwnersAndLogsSay) {
  Beat(1000, 500, 0.4);
  const ClusterLoad load = Beat(1000, 500, 0.4);
  EXPECT_TRUE(load.whole);
  ASSERT_EQ(load.jobs.size(), 1u);
  ASSERT_EQ(load.jobs[0].partitions.size(), 2u);
  const PartitionLoad& second = load.jobs[0].partitions[1];
  EXPECT_EQ(second.owner, "b");
  EXPECT_DOUBLE_EQ(second.taken, 100);
  EXPECT_DOUBLE_EQ(second.arriving, 200);
  EXPECT_DOUBLE_EQ(second.busy, 0.4);
  EXPECT_DOUBLE_EQ(second.lag, 1000);
}

// The broker is not asked for the count of a log whose end was applied.
TEST_F(LoadMeterTest, ReckonsOnInRecordsWhileThereIsNoLag) {
  Beat(500, 500, 0.1);
  EXPECT_DOUBLE_EQ(Beat(500, 500, 0.1).jobs[0].partitions[0].arriving, 100);
  const ClusterLoad late = Beat(800, 500, 0.1);
  EXPECT_TRUE(late.whole);
  EXPECT_DOUBLE_EQ(late.jobs[0].partitions[0].arriving, 130) << "500 and 800 in ten seconds";
  EXPECT_DOUBLE_EQ(late.jobs[0].partitions[0].lag, 300);
  EXPECT_TRUE(Beat(200, 500, 0.1).whole) << "caught up again";
}

TEST_F(LoadMeterTest, CountsMessagesWhereRecordsAreNotCounted) {
  counted_ = false;
  Beat(1000, 500, 0.4);
  const ClusterLoad load = Beat(1000, 500, 0.4);
  EXPECT_DOUBLE_EQ(load.jobs[0].partitions[0].taken, 50);
  EXPECT_DOUBLE_EQ(load.jobs[0].partitions[0].arriving, 100);
  EXPECT_DOUBLE_EQ(load.jobs[0].partitions[0].lag, 500);
}

TEST_F(LoadMeterTest, ATakeOverBeginsAnew) {
  Beat(500, 500, 0.1);
  EXPECT_TRUE(Beat(500, 500, 0.1).whole);
  report(0).epoch = 2;
  report(0).records_in = 100;  // as its last commit has it
  report(0).busy_us = 0;
  EXPECT_FALSE(Beat(500, 500, 0.1).whole);
  EXPECT_TRUE(Beat(500, 500, 0.1).whole);
}

TEST_F(LoadMeterTest, WhatNobodyRunsIsNotKnown) {
  Beat(500, 500, 0.1);
  report(0).state = "restoring";
  ClusterLoad load = Beat(500, 500, 0.1);
  EXPECT_FALSE(load.whole);
  EXPECT_EQ(load.partitions, 2u);
  EXPECT_EQ(load.jobs[0].partitions.size(), 1u) << "what is known counts";
  report(0).state = "running";
  Beat(500, 500, 0.1);
  EXPECT_TRUE(Beat(500, 500, 0.1).whole);
  logs_.clear();
  EXPECT_FALSE(meter_.Look(cluster_, logs_, now_).whole) << "the broker does not answer";
}

TEST_F(LoadMeterTest, WorkThatIsDoneOrDoesNotGoOnIsNone) {
  for (const char* state : {"completed", "stopped", "failed", "paused"}) {
    report(0).state = report(1).state = state;
    const ClusterLoad load = Beat(500, 0, 0);
    EXPECT_TRUE(load.whole) << state;
    EXPECT_EQ(load.partitions, 0u) << state;
  }
  report(0).state = report(1).state = "running";
  cluster_.assignment->jobs[0].paused = true;
  EXPECT_EQ(Beat(500, 0, 0).partitions, 0u);
  cluster_.assignment->jobs[0].paused = false;
  cluster_.finals[kLoadUid].state = "completed";
  EXPECT_EQ(Beat(500, 0, 0).partitions, 0u);
}

TEST_F(LoadMeterTest, CountsWorkersThatServe) {
  worker(0).lease.state = "draining";
  EXPECT_EQ(Beat(0, 0, 0).joined, 1u);
  worker(0).lease.state = "ready";
  cluster_.drains["a"].last.verb = DrainAsked::kDrainVerb;
  cluster_.drains["a"].last.process = "a";
  EXPECT_EQ(Beat(0, 0, 0).joined, 1u) << "it was told to drain";
  worker(0).lease.process = "another";
  EXPECT_EQ(Beat(0, 0, 0).joined, 2u) << "that was the process before";
  worker(1).renewed_ns = 0;
  EXPECT_EQ(meter_.Look(cluster_, logs_, now_).joined, 1u) << "one is lost";
}

// Even a lane without work takes its turns; one that counts none is in the middle of a long one.
TEST_F(LoadMeterTest, ALongTurnIsBusyBeforeItIsOver) {
  Beat(500, 500, 0.1);
  Beat(500, 500, 0.1);
  for (int beat = 0; beat < 3; ++beat) Beat(500, 0, 0);
  const ClusterLoad load = Beat(500, 0, 0);
  const PartitionLoad& partition = load.jobs[0].partitions[0];
  EXPECT_TRUE(load.whole);
  EXPECT_EQ(partition.taken, 0);
  EXPECT_EQ(partition.busy, 1);
  EXPECT_EQ(LanesFor(partition), 1);
  EXPECT_FALSE(WaitElsewhere(load)[0]);
}

// A worker of an earlier version: to take it for idle would let workers go.
TEST_F(LoadMeterTest, AnOwnerThatDoesNotSayHowBusyItIsIsNotKnown) {
  Beat(500, 500, 0);
  EXPECT_FALSE(Beat(500, 500, 0).whole);
}

}  // namespace
}  // namespace millrace
