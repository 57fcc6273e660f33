#include "coordinator/views/top_view.h"

#include <gtest/gtest.h>

#include "common/strings.h"

namespace millrace {
namespace {

constexpr int64_t kTopNowMs = 1'000'000'010'000;

void AddRunningJob(const std::string& name, const std::string& uid, uint64_t records, Cluster* cluster) {
  JobRecord job;
  job.name = name;
  job.uid = uid;
  job.partitions = 1;
  cluster->jobs[name] = job;
  cluster->assignment->jobs.push_back(JobAssignment{name, uid, false, {"a"}});
  PartitionReport report;
  report.job = name;
  report.uid = uid;
  report.epoch = 1;
  report.offset = 10;
  report.records_in = records;
  report.records_out = records / 2;
  report.state = "running";
  cluster->workers["a"].lease.partitions.push_back(report);
}

Cluster TopCluster(uint64_t records) {
  Cluster cluster;
  cluster.term = Term{3, "c1", 3000};
  cluster.assignment = Assignment{3, 9, {}};
  WorkerSeen& worker = cluster.workers["a"];
  worker.lease.name = "a";
  worker.lease.state = "ready";
  worker.renewed_ns = cluster.newest_lease_ns = kTopNowMs * 1'000'000;
  AddRunningJob("busy", "00000000000000aa", records, &cluster);
  AddRunningJob("idle", "00000000000000bb", 50, &cluster);
  return cluster;
}

PartitionLog LogBehindBy(uint64_t messages) {
  PartitionLog log;
  log.end = 10 + messages;
  if (messages > 0) log.oldest_ms = kTopNowMs - 700;
  return log;
}

TEST(TopViewTest, ShowsOfEachJobItsRateItsLagAndItsOwners) {
  Rates rates;
  NoteRates(TopCluster(100), absl::Seconds(1), &rates);
  const Cluster now = TopCluster(300);
  NoteRates(now, absl::Seconds(3), &rates);
  const ViewJson view =
      TopView(now, {{"busy", {LogBehindBy(4)}}, {"idle", {LogBehindBy(0)}}}, rates, kTopNowMs);
  EXPECT_EQ(view["leader"], "c1");
  EXPECT_EQ(view["term"], 3);
  EXPECT_EQ(view["workers"], WorkersView(now));
  ASSERT_EQ(view["jobs"].size(), 2u);
  const ViewJson& busy = view["jobs"][0];
  EXPECT_EQ(busy["job"], "busy");
  EXPECT_EQ(busy["in_per_second"], 100);
  EXPECT_EQ(busy["out_per_second"], 50);
  EXPECT_EQ(busy["lag_records"], 4);
  EXPECT_EQ(busy["oldest_ms"], 700);
  EXPECT_EQ(busy["owned"], 1);
  EXPECT_EQ(view["jobs"][1]["in_per_second"], 0);
  ASSERT_EQ(view["partitions"].size(), 1u) << "one that is not behind is none of them";
  EXPECT_EQ(view["partitions"][0]["job"], "busy");
  EXPECT_EQ(view["partitions"][0]["lag_records"], 4);
}

TEST(TopViewTest, WhatIsFurthestBehindComesFirstAndTheRestIsLeftOut) {
  Cluster cluster = TopCluster(100);
  LogsOfJobs logs;
  for (uint64_t job = 0; job < 2 * kTopPartitions; ++job) {
    const std::string name = StrCat("job-", job);
    AddRunningJob(name, StrCat("00000000000001", job < 10 ? "0" : "", job), 1, &cluster);
    logs[name] = {LogBehindBy(job)};
  }
  const ViewJson partitions = TopView(cluster, logs, Rates(), kTopNowMs)["partitions"];
  ASSERT_EQ(partitions.size(), kTopPartitions);
  EXPECT_EQ(partitions[0]["lag_records"], 2 * kTopPartitions - 1);
  EXPECT_EQ(partitions[kTopPartitions - 1]["lag_records"], kTopPartitions);
}

// Each look asks the broker for every stream of every job that it names.
TEST(TopViewTest, LooksAtTheLogsOfJobsThatRunUpToABound) {
  Cluster cluster = TopCluster(100);
  cluster.finals["00000000000000bb"] = FinalStatus{"completed", "", kTopNowMs, 50, 25, 0, 0};
  ASSERT_EQ(JobsToLookAt(cluster).size(), 1u);
  EXPECT_EQ(JobsToLookAt(cluster)[0]->name, "busy");
  const ViewJson ended = TopView(cluster, {}, Rates(), kTopNowMs)["jobs"][1];
  EXPECT_EQ(ended["state"], "completed");
  EXPECT_TRUE(ended["lag_records"].is_null());
  for (size_t job = 0; job < kTopJobs; ++job) {
    AddRunningJob(StrCat("job-", job), StrCat("uid-", job), 1, &cluster);
  }
  EXPECT_EQ(JobsToLookAt(cluster).size(), kTopJobs);
}

TEST(TopViewTest, AClusterWithoutAnythingIsShown) {
  const ViewJson view = TopView(Cluster(), {}, Rates(), kTopNowMs);
  EXPECT_TRUE(view["leader"].is_null());
  EXPECT_EQ(view["workers"].size() + view["jobs"].size() + view["partitions"].size(), 0u);
}

}  // namespace
}  // namespace millrace
