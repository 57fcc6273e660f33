// Interleavings of leaders, of commands and of jobs; and the simulation's own promises.
#include "common/cluster/numbered_key.h"
#include "tests/simulation/interleaving_fixture.h"
#include "tests/simulation/simulation.h"

namespace millrace::sim {
namespace {

using JobsTest = InterleavingTest;

TEST_F(JobsTest, AJobIsDeletedAndMadeAgainUnderItsNameWhileItsZombieLives) {
  uint64_t foreign = 0;
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    const std::string old_uid = cluster.uid();
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 8; }));
    Cluster::Place* const owner = cluster.OwnerOf(0);
    ASSERT_NE(owner, nullptr);
    owner->process->link.out_cut = true;
    Pass(absl::Milliseconds(500));
    cluster.ingest().wanted = false;
    cluster.DeleteJob();
    cluster.SubmitAnew();
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 1; }));
    owner->process->link.out_cut = false;
    // Put by hand where the zombie's would be without an expected sequence.
    AppendRequest zombie;
    const std::string subject = ResultSubject(kJobName, PartitionId(0));
    const std::string header = StrCat("1 r ", old_uid, " 0.0 9 0.0 99.0 1");
    zombie.subject = subject;
    zombie.header = header;
    EXPECT_TRUE(cluster.network().direct().AppendAndWait(zombie).ok());
    ExpectRightEnd();
    for (const OutsideHeader& result : Results()) foreign += result.uid == old_uid ? 1 : 0;
  }
  EXPECT_GE(foreign, 5u);
}

TEST_F(JobsTest, ACancelMeetsTheCompletion) {
  options_.ledger.records = 60;
  std::map<std::string, int> ends;
  for (uint64_t seed = 1; seed <= 24 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    const auto all_out = [&] {
      cluster.oracle().ReadOn();
      return cluster.oracle().results() == options_.ledger.records;
    };
    ASSERT_TRUE(Until(all_out));
    Pass(absl::Milliseconds(static_cast<int64_t>(seed * 5)));
    cluster.Cancel();
    ASSERT_TRUE(Until([&] { return cluster.Ended(); }));
    const std::string state = cluster.Final()->state;
    ++ends[state];
    const std::string key = StrCat("final.", cluster.uid());
    const uint64_t revision = cluster.network().direct().GetKey(kAssignmentsBucket, key)->revision;
    Pass(absl::Seconds(10));
    EXPECT_EQ(cluster.network().direct().GetKey(kAssignmentsBucket, key)->revision, revision);
    EXPECT_EQ(cluster.oracle().failure(), "");
    if (state == "completed") cluster.oracle().CheckEnd();
    EXPECT_EQ(cluster.oracle().failure(), "");
  }
  EXPECT_GT(ends["completed"], 0);
  EXPECT_GT(ends["cancelled"], 0);
}

TEST_F(JobsTest, TheOldLeadersLastAssignmentArrivesBehindTheNewLeaders) {
  Cluster& cluster = Begin();
  ASSERT_TRUE(Until([&] { return ResultMessages() >= 4; }));
  Cluster::Place* const old_leader = cluster.LeaderPlace();
  ASSERT_NE(old_leader, nullptr);
  Process* const old_process = old_leader->process;
  // It is stopped with an assignment in its hands, and goes on when another has led for a while.
  AtFailpoint(
      "leader_before_assign", [=](Process& process) { return &process == old_process; },
      [&, old_process] {
        old_process->stopped = true;
        kernel().Yield();
      });
  cluster.Kill(*cluster.OwnerOf(0), absl::Seconds(6));
  ASSERT_TRUE(Until([&] { return old_process->stopped; }));
  ASSERT_TRUE(Until([&] {
    Cluster::Place* const leader = cluster.LeaderPlace();
    return leader != nullptr && leader != old_leader;
  }));
  Pass(absl::Seconds(4));
  uint64_t revision_before = LastOf(StrCat("KV_", kAssignmentsBucket));
  old_process->stopped = false;
  ASSERT_TRUE(Until([&] {
    for (const auto& [key, entry] : cluster.Assignments()) {
      const auto number = ParseNumberedKey(key, "assign.", 2);
      if (number.has_value() && number->first == 1 && entry.revision > revision_before) return true;
    }
    return false;
  })) << "the old leader's assignment did not arrive";
  ExpectRightEnd();
}

// The threads of pools, and what goes between them and lanes, are part of the simulation.
TEST_F(JobsTest, CodeInPoolsComesToTheSameUnderFaults) {
  int runs = 0;
  for (uint64_t seed = 1; runs < 25 && !HasFailure(); ++seed) {
    Scenario scenario = MakeScenario(seed);
    if (scenario.cluster.ledger.handler != Handler::kLua) continue;
    scenario.cluster.ledger.concurrency = 3;
    SCOPED_TRACE(StrCat("seed ", seed));
    EXPECT_EQ(RunScenario(scenario, folder_).failure, "");
    ++runs;
  }
}

TEST_F(JobsTest, TheSameSeedIsTheSameRunEventForEvent) {
  for (const uint64_t seed : {3, 17, 42}) {
    const Scenario scenario = MakeScenario(seed);
    const Verdict first = RunScenario(scenario, folder_);
    const Verdict second = RunScenario(scenario, folder_);
    EXPECT_EQ(first.failure, "");
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events);
  }
  EXPECT_NE(RunScenario(MakeScenario(3), folder_).trace_hash,
            RunScenario(MakeScenario(17), folder_).trace_hash);
}

}  // namespace
}  // namespace millrace::sim
