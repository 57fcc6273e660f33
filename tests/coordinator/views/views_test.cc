#include "coordinator/views/views.h"

#include <gtest/gtest.h>

#include "common/frame/message_header.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kViewUid[] = "00000000000000aa";
constexpr int64_t kViewNowMs = 1'000'000'010'000;
constexpr int64_t kViewNsPerMs = 1'000'000;

// Two partitions; worker `a` owns 0 and lags, worker `b` owned 1 and has fallen silent.
Cluster MakeViewCluster() {
  Cluster cluster;
  JobRecord job;
  job.name = "delays";
  job.uid = kViewUid;
  job.partitions = 2;
  job.created_ms = 1'000'000'000'000;
  cluster.jobs["delays"] = job;
  cluster.term = Term{3, "c1", 3000};
  cluster.assignment = Assignment{3, 9, {JobAssignment{"delays", kViewUid, false, {"a", "b"}}}};

  PartitionReport report;
  report.job = "delays";
  report.uid = kViewUid;
  report.epoch = 4;
  report.offset = 5;
  report.committed_offset = 4;
  report.committed_at_ms = kViewNowMs - 700;
  report.records_in = 100;
  report.records_out = 90;
  report.dead_letters = 2;
  report.retries = 1;
  report.skipped = 3;
  report.inspected = {{"big", 6}};
  report.state_keys = 7;
  report.state_bytes = 300;
  report.state = "running";
  WorkerLease a;
  a.name = "a";
  a.incarnation = "00000000000000a1";
  a.pid = 11;
  a.host = "h";
  a.lanes = 2;
  a.state = "ready";
  a.cpu = 0.5;
  a.memory_bytes = 4096;
  a.version = "0.1.0";
  a.http = "127.0.0.1:1";
  a.zone = "east";
  a.partitions = {report};
  WorkerLease b = a;
  b.name = "b";
  b.incarnation = "00000000000000b1";
  report.partition = 1;
  report.offset = 8;
  report.records_in = 50;
  b.partitions = {report};
  cluster.newest_lease_ns = kViewNowMs * kViewNsPerMs;
  cluster.workers["a"] = {a, (kViewNowMs - 1000) * kViewNsPerMs};
  cluster.workers["b"] = {b, (kViewNowMs - 9000) * kViewNsPerMs};
  return cluster;
}

std::vector<PartitionLog> MakeViewLogs() {
  return {PartitionLog{9, 140, kViewNowMs - 2500}, PartitionLog{8, std::nullopt, std::nullopt}};
}

TEST(ViewsTest, SaysThatNobodyRenewsALease) {
  Cluster cluster = MakeViewCluster();
  cluster.read_at_ms = kViewNowMs + 5000;
  EXPECT_EQ(JobStateOf(cluster, cluster.jobs.at("delays")).reason, "");
  cluster.read_at_ms = kViewNowMs + 42'500;
  EXPECT_NE(JobStateOf(cluster, cluster.jobs.at("delays")).reason.find("for 42s"), std::string::npos);
}

TEST(ViewsTest, PartitionsShowEveryFieldOfTheInterface) {
  const Cluster cluster = MakeViewCluster();
  const ViewJson rows = PartitionsView(cluster, cluster.jobs.at("delays"), MakeViewLogs(), kViewNowMs);
  EXPECT_EQ(
      rows.dump(),
      R"([{"segment":0,"partition":0,"owner":"a","epoch":4,"offset":5,"end":9,"lag_records":40,)"
      R"("oldest_ms":2500,"committed_ms_ago":700,"committed_offset":4,"checkpoint_offset":0,)"
      R"("code":0,"standby":"","standby_offset":null,"next_owner":"","state_keys":7,"state_bytes":300,"state":"running","reason":"","records_in":100,)"
      R"("records_out":90,"dead_letters":2,"retries":1,"skipped":3,"inspected":{"big":6}},)"
      R"({"segment":0,"partition":1,"owner":"b","epoch":4,"offset":8,"end":8,"lag_records":0,)"
      R"("oldest_ms":0,"committed_ms_ago":700,"committed_offset":4,"checkpoint_offset":0,)"
      R"("code":0,"standby":"","standby_offset":null,"next_owner":"","state_keys":7,"state_bytes":300,"state":"running","reason":"","records_in":50,)"
      R"("records_out":90,"dead_letters":2,"retries":1,"skipped":3,"inspected":{"big":6}}])");
}

TEST(ViewsTest, StatusShowsEveryFieldOfTheInterface) {
  const Cluster cluster = MakeViewCluster();
  const ViewJson view = StatusView(cluster, cluster.jobs.at("delays"), MakeViewLogs(), kViewNowMs);
  EXPECT_EQ(
      view.dump(),
      R"({"job":"delays","uid":"00000000000000aa","state":"running","reason":"","records_in":150,)"
      R"("records_out":180,"dead_letters":4,"skipped":6,"inspected":{"big":12},"code":0,)"
      R"("lag_records":40,"oldest_ms":2500,"started":"2001-09-09T01:46:40.000Z","ended":null,"input_records":null,)"
      R"("input_rejected":null,"source":null,"added":null,"sink":null,"segments":[{"segment":0,"partitions":2,"owned":2,"lag_records":40,)"
      R"("oldest_ms":2500,"state_keys":14,"state_bytes":600}]})");
}

TEST(ViewsTest, EverySegmentHasItsRowsAndItsOwners) {
  Cluster cluster = MakeViewCluster();
  JobRecord& job = cluster.jobs.at("delays");
  job.later_partitions = {1};
  cluster.assignment->jobs[0].owners = {"a", "b", "b"};
  PartitionReport report = cluster.workers["b"].lease.partitions[0];
  report.segment = 1;
  report.partition = 0;
  report.records_in = 30;
  report.records_out = 20;
  cluster.workers["b"].lease.partitions.push_back(report);
  std::vector<PartitionLog> logs = MakeViewLogs();
  logs.push_back({12, std::nullopt, kViewNowMs - 100});
  const ViewJson rows = PartitionsView(cluster, job, logs, kViewNowMs);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2]["segment"], 1);
  EXPECT_EQ(rows[2]["partition"], 0);
  EXPECT_EQ(rows[2]["owner"], "b");
  EXPECT_EQ(rows[2]["lag_records"], 4) << "messages";
  const ViewJson status = StatusView(cluster, job, logs, kViewNowMs);
  EXPECT_EQ(status["records_in"], 150) << "of the first segment";
  EXPECT_EQ(status["records_out"], 20) << "of the last";
  ASSERT_EQ(status["segments"].size(), 2u);
  EXPECT_EQ(status["segments"][1]["partitions"], 1);
  EXPECT_EQ(status["segments"][1]["lag_records"], 4);
  EXPECT_EQ(status["lag_records"], 44);
}

TEST(ViewsTest, WorkersShowEveryFieldAndWhoIsLost) {
  EXPECT_EQ(WorkersView(MakeViewCluster()).dump(),
            R"([{"name":"a","incarnation":"00000000000000a1","pid":11,"host":"h","lanes":2,"partitions":1,)"
            R"("state":"ready","cpu":0.5,"memory_bytes":4096,"lease_ms_left":2000,"version":"0.1.0",)"
            R"("http":"127.0.0.1:1","zone":"east","step_version":1},)"
            R"({"name":"b","incarnation":"00000000000000b1","pid":11,"host":"h","lanes":2,"partitions":1,)"
            R"("state":"lost","cpu":0.5,"memory_bytes":4096,"lease_ms_left":0,"version":"0.1.0",)"
            R"("http":"127.0.0.1:1","zone":"east","step_version":1}])");
}

TEST(ViewsTest, AWorkerThatStoppedInOrderIsNotLost) {
  Cluster cluster = MakeViewCluster();
  cluster.workers["b"].lease.state = "stopped";
  EXPECT_EQ(WorkersView(cluster)[1]["state"], "stopped");
}

TEST(ViewsTest, ACompletedJobHasNoLagWhateverTheLastReportsSaid) {
  Cluster cluster = MakeViewCluster();
  cluster.finals[kViewUid] = FinalStatus{"completed", "", kViewNowMs, 190, 180, 4, 3};
  const ViewJson view = StatusView(cluster, cluster.jobs.at("delays"), MakeViewLogs(), kViewNowMs);
  EXPECT_EQ(view["state"], "completed");
  EXPECT_EQ(view["records_in"], 190);
  EXPECT_EQ(view["lag_records"], 0);
  EXPECT_EQ(view["ended"], "2001-09-09T01:46:50.000Z");
  cluster.finals[kViewUid].skipped = 5;
  cluster.finals[kViewUid].inspected = {{"big", 9}};
  const ViewJson counted = StatusView(cluster, cluster.jobs.at("delays"), MakeViewLogs(), kViewNowMs);
  EXPECT_EQ(counted["skipped"], 5);
  EXPECT_EQ(counted["inspected"]["big"], 9);
}

TEST(ViewsTest, AnEndedJobsPartitionsAreWhatTheirOwnersSaidLast) {
  Cluster cluster = MakeViewCluster();
  const JobRecord& job = cluster.jobs.at("delays");
  const std::vector<std::optional<PartitionReport>> said = NewestReports(cluster, job);
  for (auto& [name, worker] : cluster.workers) worker.lease.partitions.clear();
  cluster.finals[kViewUid] = FinalStatus{"failed", "why", kViewNowMs};
  const ViewJson unknown = PartitionsView(cluster, job, MakeViewLogs(), kViewNowMs);
  EXPECT_TRUE(unknown[0]["state_keys"].is_null());
  EXPECT_TRUE(StatusView(cluster, job, MakeViewLogs(), kViewNowMs)["segments"][0]["state_keys"].is_null());
  cluster.finals[kViewUid].partitions = {*said[0]};
  const ViewJson row = PartitionsView(cluster, job, MakeViewLogs(), kViewNowMs)[0];
  EXPECT_EQ(row["epoch"], said[0]->epoch);
  EXPECT_EQ(row["offset"], said[0]->offset);
  EXPECT_EQ(row["state_keys"], said[0]->state_keys);
  EXPECT_EQ(row["state"], "failed");
}

TEST(ViewsTest, LinesThatTheIngestRejectedAreDeadLettersToo) {
  Cluster cluster = MakeViewCluster();
  cluster.fed[kViewUid] = InputFed{190, 3, 1};
  EXPECT_EQ(JobsView(cluster)[0]["dead_letters"], 7);
  cluster.finals[kViewUid] = FinalStatus{"completed", "", kViewNowMs, 190, 180, 4, 3};
  EXPECT_EQ(JobsView(cluster)[0]["dead_letters"], 7);
}

TEST(ViewsTest, WhatWasGivenBesideASourceIsListed) {
  Cluster cluster = MakeViewCluster();
  cluster.sources[kViewUid] = SourceFed{"S", 9, 9, 0, 0, 1, ""};
  EXPECT_EQ(StatusView(cluster, cluster.jobs.at("delays"), MakeViewLogs(), kViewNowMs)["added"],
            ViewJson::array());
  cluster.added[kViewUid][1] = {InputAdded{{{"old.jsonl", 900, "d"}}, kViewNowMs}, InputFed{40, 2, 1}};
  cluster.added[kViewUid][2] = {InputAdded{{{"more.jsonl", 800, "e"}}, kViewNowMs}, std::nullopt};
  const ViewJson status = StatusView(cluster, cluster.jobs.at("delays"), MakeViewLogs(), kViewNowMs);
  ASSERT_EQ(status["added"].size(), 2u);
  EXPECT_EQ(status["added"][0]["inputs"], ViewJson::array({"old.jsonl"}));
  EXPECT_EQ(status["added"][0]["records"], 40);
  EXPECT_TRUE(status["added"][1]["records"].is_null());
  EXPECT_EQ(status["dead_letters"], 6);
}

TEST(ViewsTest, SaysHowFarResultsAreBroughtOut) {
  Cluster cluster = MakeViewCluster();
  const JobRecord job = cluster.jobs.at("delays");
  EXPECT_EQ(SinkLag(cluster, job), 0u) << "they stay in their streams";
  const uint64_t put_out = JobsView(cluster)[0]["records_out"];
  cluster.sinks[kViewUid] = {SinkReport{"file /out on host a", put_out - 5, "the disk is full"}};
  ViewJson sink = StatusView(cluster, job, MakeViewLogs(), kViewNowMs)["sink"];
  EXPECT_EQ(sink.dump(), StrCat(R"({"to":"file /out on host a","records":)", put_out - 5,
                                R"(,"lag_records":5,"done":false,"trouble":"the disk is full"})"));
  EXPECT_EQ(JobStateOf(cluster, job).reason, "its results are not all out: the disk is full");
  cluster.finals[kViewUid] = FinalStatus{"completed", "", kViewNowMs, 190, put_out, 4, 3};
  EXPECT_EQ(JobStateOf(cluster, job).reason, "its results are not all out: the disk is full");
  cluster.sinks[kViewUid].done = true;
  EXPECT_EQ(JobStateOf(cluster, job).reason, "");
  EXPECT_EQ(SinkLag(cluster, job), 0u);
}

TEST(ViewsTest, WhatWasSaidOfASinkAtItsEndCounts) {
  const auto entry = [](const std::string& key, const SinkReport& report) {
    return std::pair(key, KeyValue{.key = key, .value = Encode(report)});
  };
  const Cluster cluster =
      DecodeCluster({}, {},
                    {entry(SinkKey("u"), {"x", 3, "late"}), entry(SinkDoneKey("u"), {"x", 9, ""}),
                     entry(SinkKey("v"), {"y", 4, ""})});
  EXPECT_TRUE(cluster.sinks.at("u").done);
  EXPECT_EQ(cluster.sinks.at("u").report.records, 9u);
  EXPECT_FALSE(cluster.sinks.at("v").done);
  EXPECT_EQ(cluster.sinks.at("v").report.records, 4u);
}

TEST(ViewsTest, ClusterKnowsAnInputBesideTheSourceFromTheJobsOwn) {
  const auto entry = [](std::string key, std::string value) {
    return std::pair(key, KeyValue{.key = key, .value = std::move(value)});
  };
  BucketEntries assignments = {entry(FedKey("u", AddedWriter(3)), Encode(InputFed{7, 0, 1})),
                               entry(AddedKey("u", 3), Encode(InputAdded{{{"f", 1, "d"}}, 5})),
                               entry("fed.u.x-3", Encode(InputFed{8, 0, 1}))};
  const Cluster cluster = DecodeCluster({}, {}, assignments);
  EXPECT_TRUE(cluster.fed.empty());
  ASSERT_EQ(cluster.added.at("u").size(), 1u);
  EXPECT_EQ(cluster.added.at("u").at(3).fed->records, 7u);
  EXPECT_EQ(cluster.added.at("u").at(3).input->inputs[0].name, "f");
}

TEST(ViewsTest, BehindAStrangersMessageLagCountsMessages) {
  const Cluster cluster = MakeViewCluster();
  const std::vector<PartitionLog> logs = {PartitionLog{9, std::nullopt, kViewNowMs}, PartitionLog{8, {}, {}}};
  EXPECT_EQ(PartitionsView(cluster, cluster.jobs.at("delays"), logs, kViewNowMs)[0]["lag_records"], 4);
}

TEST(ViewsTest, AStoppedPartitionIsTheJobsReason) {
  Cluster cluster = MakeViewCluster();
  cluster.workers["a"].lease.partitions[0].state = "stopped";
  cluster.workers["a"].lease.partitions[0].reason = "the stream was rolled back";
  const JobState state = JobStateOf(cluster, cluster.jobs.at("delays"));
  EXPECT_EQ(state.state, "running");
  EXPECT_EQ(state.reason, "partition 0 stopped: the stream was rolled back");
}

TEST(ViewsTest, WhatAPartitionWaitsForIsTheJobsReason) {
  Cluster cluster = MakeViewCluster();
  cluster.workers["a"].lease.partitions[0].reason = "stage score waits for a handler";
  EXPECT_EQ(JobStateOf(cluster, cluster.jobs.at("delays")).reason,
            "partition 0: stage score waits for a handler");
}

TEST(ViewsTest, APartitionThatCannotBeOpenedSaysWhyThoughItsFormerOwnerWasHeardOfLater) {
  Cluster cluster = MakeViewCluster();
  const PartitionReport former = cluster.workers["a"].lease.partitions[0];
  cluster.workers["b"].lease.partitions.push_back(former);  // b is lost, and its epoch is the greatest
  PartitionReport& said = cluster.workers["a"].lease.partitions[0];
  said.epoch = 0;
  said.offset = 0;
  said.state = "restoring";
  said.reason = "the disk is full";
  const JobRecord& job = cluster.jobs.at("delays");
  EXPECT_EQ(JobStateOf(cluster, job).reason, "partition 0 restoring: the disk is full");
  const ViewJson row = PartitionsView(cluster, job, MakeViewLogs(), kViewNowMs)[0];
  EXPECT_EQ(row["state"], "restoring");
  EXPECT_EQ(row["reason"], "the disk is full");
  EXPECT_EQ(row["offset"], 5);
  said.reason = "";
  EXPECT_EQ(JobStateOf(cluster, job).reason, "");
}

TEST(ViewsTest, TheReportOfTheLaterEpochCounts) {
  Cluster cluster = MakeViewCluster();
  PartitionReport old = cluster.workers["a"].lease.partitions[0];
  old.epoch = 1;
  old.offset = 9;
  cluster.workers["b"].lease.partitions.push_back(old);
  const auto reports = NewestReports(cluster, cluster.jobs.at("delays"));
  ASSERT_TRUE(reports[0].has_value());
  EXPECT_EQ(reports[0]->offset, 5u);
}

}  // namespace
}  // namespace millrace
