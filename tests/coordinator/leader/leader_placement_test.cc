// The leader and its workers: who is given what, when they come, go, drain, and are busy.
#include <algorithm>

#include "coordinator/leader/leader.h"
#include "gmock/gmock.h"
#include "tests/coordinator/leader/cluster_fixture.h"

namespace millrace {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

class LeaderPlacementTest : public ClusterTest {};

TEST_F(LeaderPlacementTest, TwoWorkersThatStartTogetherShareAtOnce) {
  AddCoordinator("a");
  Submit("job", "u1", 4);
  Run(kTestTtl);
  AddWorker("w1");
  Run(kTestTtl / 10);
  AddWorker("w2");
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1", "w2", "w1", "w2"));
  EXPECT_EQ(coordinators_["a"]->leader->totals().moves, 0u);
}

TEST_F(LeaderPlacementTest, WritesNothingWhileNothingChanges) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 2);
  RunUntilPlanned();
  const uint64_t number = InForce().number;
  Run(10 * kTestTtl);
  EXPECT_EQ(InForce().number, number);
}

TEST_F(LeaderPlacementTest, WithoutWorkersNobodyOwnsAnything) {
  AddCoordinator("a");
  Submit("job", "u1", 2);
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("", ""));
}

TEST_F(LeaderPlacementTest, AWorkerLostKeepsItsPartitionsForALeaseAndNoLonger) {
  BeginWithTwoWorkers(2);
  LoseWorker("w2");
  Run(kTestTtl * 0.7);
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1", "w2"));
  Run(kTestTtl * 0.6);
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1", "w1"));
  AddWorker("w2");
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1", "w2"));
}

TEST_F(LeaderPlacementTest, AJobForALaterEngineGoesToTheWorkersThatHaveIt) {
  AddCoordinator("a");
  AddWorker("w1");
  AddWorker("w2").step_version = 2;
  Submit("job", "u1", 2, /*step_version=*/2);
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), Each("w2"));
}

TEST_F(LeaderPlacementTest, AnUpdateForALaterEngineMovesAJobToTheWorkersThatHaveIt) {
  BeginWithTwoWorkers(2);
  AddWorker("w3").step_version = 2;
  CodeVersion code;
  code.version = 1;
  code.step_version = 2;
  ASSERT_TRUE(bus_.CreateKey(kJobsBucket, CodeKey("u1", 1), Encode(code)).ok());
  Run(3 * kTestTtl);
  EXPECT_THAT(OwnersInForce("u1"), Each("w3"));
}

TEST_F(LeaderPlacementTest, WithoutAWorkerOfALaterEngineOldOnesAreGivenTheJob) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1, /*step_version=*/2);
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1"));
}

TEST_F(LeaderPlacementTest, WhenAllWorkersComeBackEachGetsWhatItHad) {
  AddCoordinator("a");
  for (const char* name : {"w1", "w2", "w3"}) AddWorker(name);
  Submit("job", "u1", 7);
  RunUntilPlanned();
  const auto before = OwnersInForce("u1");
  workers_.clear();
  Run(2 * kTestTtl);
  EXPECT_THAT(OwnersInForce("u1"), Each(""));
  for (const char* name : {"w3", "w2", "w1"}) AddWorker(name);
  RunUntilPlanned();
  EXPECT_EQ(OwnersInForce("u1"), before);
}

TEST_F(LeaderPlacementTest, AWorkerThatComesBackAfterAllGetsWhatItHad) {
  AddCoordinator("a");
  for (const char* name : {"w1", "w2", "w3"}) AddWorker(name);
  Submit("job", "u1", 9);
  RunUntilPlanned();
  const auto before = OwnersInForce("u1");
  LoseWorker("w2");
  Run(2 * kTestTtl);
  EXPECT_THAT(OwnersInForce("u1"), Not(Contains("w2")));
  // Whoever leads then.
  Kill("a");
  AddCoordinator("b");
  Run(4 * kTestTtl);
  AddWorker("w2");
  Run(kTestTtl / 5);
  EXPECT_EQ(OwnersInForce("u1"), before);
}

TEST_F(LeaderPlacementTest, ADrainingWorkerIsEmptiedAtOnce) {
  BeginWithTwoWorkers(4);
  workers_["w1"].state = "draining";
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u1"), Each("w2"));
}

TEST_F(LeaderPlacementTest, AWorkerToldToDrainIsEmptiedAndStaysEmptyUntilThatIsUndone) {
  BeginWithTwoWorkers(4);
  Drain("w1", 1);
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u1"), Each("w2"));
  EXPECT_THAT(InForce().draining, ElementsAre("w1"));
  // It rejoins, another coordinator leads: the command stands.
  workers_["w1"].incarnation = "w1-second";
  Kill("a");
  AddCoordinator("b");
  Run(4 * kTestTtl);
  EXPECT_THAT(OwnersInForce("u1"), Each("w2"));
  Drain("w1", 2, "undrain");
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u1"), Contains("w1"));
  EXPECT_THAT(InForce().draining, IsEmpty());
}

TEST_F(LeaderPlacementTest, ADrainedWorkerThatIsStartedAgainServes) {
  BeginWithTwoWorkers(4);
  Drain("w1", 1);
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u1"), Each("w2"));
  workers_["w1"].process = "w1-started-again";
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u1"), Contains("w1"));
}

TEST_F(LeaderPlacementTest, MovesOnlySoManyPartitionsUntilTheirNewOwnersRun) {
  const uint32_t partitions = 4 * kMaxMovesAtOnce;
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", partitions);
  RunUntilPlanned();
  AddWorker("w2");
  Run(kTestTtl);
  const auto of_w2 = [this] { return Owned("u1", "w2"); };
  EXPECT_EQ(of_w2(), kMaxMovesAtOnce);
  Report("job", "u1", "restoring");
  Run(kTestTtl);
  EXPECT_EQ(of_w2(), kMaxMovesAtOnce);
  Report("job", "u1", "running");
  Run(kTestTtl / 5);
  EXPECT_EQ(of_w2(), 2 * kMaxMovesAtOnce);
  Report("job", "u1", "running");
  Run(kTestTtl);
  EXPECT_EQ(of_w2(), 2 * kMaxMovesAtOnce) << "even";
}

TEST_F(LeaderPlacementTest, ABusyPartitionGetsAWorkerMoreToItself) {
  AddCoordinator("a");
  AddWorker("w1");
  AddWorker("w2");
  Submit("job", "u1", 8);
  RunUntilPlanned();
  const std::string busy = OwnersInForce("u1")[0];
  EXPECT_EQ(Owned("u1", busy), 4u);
  for (uint64_t beats = 1; beats <= 4; ++beats) {
    Report("job", "u1", "running");
    for (auto& [name, worker] : workers_) {
      for (PartitionReport& report : worker.partitions) {
        report.records_in = beats * (report.partition == 0 ? 70'000 : 10'000);
      }
    }
    Run(kLoadInterval);
  }
  EXPECT_EQ(OwnersInForce("u1")[0], busy);
  EXPECT_LE(Owned("u1", busy), 3u);
}

TEST_F(LeaderPlacementTest, AJobIsSpreadOverZones) {
  AddCoordinator("a");
  for (const char* name : {"w1", "w2", "w3"})
    AddWorker(name).zone = name == std::string("w3") ? "west" : "east";
  Submit("job", "u1", 2);
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1", "w3"));
}

}  // namespace
}  // namespace millrace
