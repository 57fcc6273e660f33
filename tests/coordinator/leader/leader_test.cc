#include "coordinator/leader/leader.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "tests/coordinator/leader/cluster_fixture.h"

namespace millrace {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LeaderTest : public ClusterTest {};

TEST_F(LeaderTest, AnOutageOfTheBrokerMovesNothing) {
  BeginWithTwoWorkers(4);
  const Assignment before = InForce();
  coordinators_["a"]->bus.Disconnect();
  const auto workers = workers_;
  workers_.clear();  // they beat no more than the coordinator sees
  Run(3 * kTestTtl);
  coordinators_["a"]->bus.Reconnect();
  Run(kTestTtl / 2);
  workers_ = workers;
  Run(kTestTtl);
  EXPECT_EQ(InForce().number, before.number);
  EXPECT_TRUE(SameJobs(InForce().jobs, before.jobs));
}

TEST_F(LeaderTest, CompletesWhenEveryOwnerSaysSo) {
  BeginWithTwoWorkers(2);
  Report("job", "u1", "completed");
  workers_["w2"].partitions[0].state = "running";
  Run(kTestTtl);
  EXPECT_FALSE(Final("u1").has_value());
  Report("job", "u1", "completed");
  Run(kTestTtl / 5);
  ASSERT_TRUE(Final("u1").has_value());
  EXPECT_EQ(Final("u1")->state, "completed");
  EXPECT_EQ(Final("u1")->records_in, 20u);
  EXPECT_THAT(OwnersInForce("u1"), IsEmpty());
}

TEST_F(LeaderTest, WhatAWorkerThatIsNoOwnerSaysDoesNotCount) {
  BeginWithTwoWorkers(2);
  Report("job", "u1", "completed");
  std::swap(workers_["w1"].partitions, workers_["w2"].partitions);
  Run(kTestTtl);
  EXPECT_FALSE(Final("u1").has_value());
}

TEST_F(LeaderTest, AFailedPartitionFailsTheJobWithItsReason) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1);
  RunUntilPlanned();
  Report("job", "u1", "failed", "map: no such field");
  Run(kTestTtl / 5);
  ASSERT_TRUE(Final("u1").has_value());
  EXPECT_EQ(Final("u1")->state, "failed");
  EXPECT_EQ(Final("u1")->reason, "partition 0: map: no such field");
}

TEST_F(LeaderTest, PauseAndResumeAreAppliedInOrder) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1);
  RunUntilPlanned();
  Give("u1", 1, "pause");
  Run(kTestTtl / 5);
  EXPECT_TRUE(InForce().jobs[0].paused);
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1"));
  Give("u1", 2, "resume");
  Give("u1", 3, "resume");
  Run(kTestTtl / 5);
  EXPECT_FALSE(InForce().jobs[0].paused);
}

TEST_F(LeaderTest, CancelAndCompletionCannotBothWin) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1);
  RunUntilPlanned();
  Report("job", "u1", "completed");
  Give("u1", 1, "cancel");
  Run(kTestTtl / 5);
  ASSERT_TRUE(Final("u1").has_value());
  const std::string winner = Final("u1")->state;
  Kill("a");
  AddCoordinator("b");
  Run(3 * kTestTtl);
  EXPECT_EQ(Final("u1")->state, winner);
  EXPECT_THAT(OwnersInForce("u1"), IsEmpty());
}

TEST_F(LeaderTest, ADeletedJobDropsOutAndItsNameMadeAgainIsAnotherJob) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1);
  RunUntilPlanned();
  EXPECT_TRUE(bus_.DeleteKey(kJobsBucket, "job.job").ok());
  Run(kTestTtl / 5);
  EXPECT_THAT(InForce().jobs, IsEmpty());
  Submit("job", "u2", 2);
  Run(kTestTtl / 5);
  EXPECT_THAT(OwnersInForce("u2"), ElementsAre("w1", "w1"));
}

TEST_F(LeaderTest, OldAssignmentsAreDroppedButNotTheOneInForce) {
  AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1);
  RunUntilPlanned();
  for (int i = 1; i <= 30; ++i) {
    Give("u1", i, i % 2 == 1 ? "pause" : "resume");
    Run(kTestTtl / 5);
  }
  const Entries keys = Keys(kAssignmentsBucket);
  const auto kept = std::count_if(keys.begin(), keys.end(),
                                  [](const auto& entry) { return entry.first.starts_with("assign."); });
  EXPECT_LE(kept, 10);
  EXPECT_GE(InForce().number, 30u);
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1"));
}

TEST_F(LeaderTest, OneOfTwoCoordinatorsLeadsAndTheOtherTakesOverWithinALease) {
  AddCoordinator("a");
  AddCoordinator("b");
  AddWorker("w1");
  Submit("job", "u1", 1);
  RunUntilPlanned();
  ASSERT_NE(coordinators_["a"]->Leads(), coordinators_["b"]->Leads());
  const std::string first = coordinators_["a"]->Leads() ? "a" : "b";
  const std::string second = first == "a" ? "b" : "a";
  EXPECT_TRUE(coordinators_[second]->leader->leadership().KnowsLeader());
  const Assignment before = InForce();
  Kill(first);
  Run(1.5 * kTestTtl);
  EXPECT_TRUE(coordinators_[second]->Leads());
  Run(kTestTtl);
  EXPECT_GT(InForce().term, before.term);
  EXPECT_TRUE(SameJobs(InForce().jobs, before.jobs)) << "the change of leaders moved something";
}

TEST_F(LeaderTest, AfterResigningTheOtherNeedNotWait) {
  AddCoordinator("a");
  Run(kTestTtl);
  AddCoordinator("b");
  Run(kTestTtl);
  ASSERT_TRUE(coordinators_["a"]->Leads());
  coordinators_["a"]->leader->Resign();
  Kill("a");
  Run(kTestTtl / 5);
  EXPECT_TRUE(coordinators_["b"]->Leads());
}

TEST_F(LeaderTest, ALeaderCutOffStopsDecidingAndItsLastAssignmentDoesNotCount) {
  TestCoordinator& old_leader = AddCoordinator("a");
  AddWorker("w1");
  AddWorker("w2");
  Submit("job", "u1", 4);
  RunUntilPlanned();
  const Assignment before = InForce();
  AddCoordinator("b");
  old_leader.bus.Disconnect();
  Run(3 * kTestTtl);
  EXPECT_FALSE(old_leader.Leads());
  ASSERT_TRUE(coordinators_["b"]->Leads());
  const Assignment of_new_leader = InForce();

  // What it would still have sent, had it been stopped between deciding and writing.
  Assignment late{before.term, before.number + 1, before.jobs};
  for (std::string& owner : late.jobs[0].owners) owner = "w1";
  EXPECT_TRUE(
      bus_.CreateKey(kAssignmentsBucket, StrCat("assign.", late.term, ".", late.number), Encode(late)).ok());
  EXPECT_EQ(InForce().term, of_new_leader.term);
  EXPECT_THAT(OwnersInForce("u1"), Contains("w2"));

  old_leader.bus.Reconnect();
  Run(kTestTtl);
  EXPECT_FALSE(old_leader.Leads());
  EXPECT_TRUE(coordinators_["b"]->Leads());
  EXPECT_EQ(InForce().term, of_new_leader.term);
  EXPECT_THAT(OwnersInForce("u1"), Contains("w2"));
}

TEST_F(LeaderTest, ABeatWhoseAnswerWasLostDelaysLeadershipOnly) {
  TestCoordinator& coordinator = AddCoordinator("a");
  AddWorker("w1");
  Submit("job", "u1", 1);
  coordinator.bus.LoseNextControlAnswer();
  RunUntilPlanned();
  EXPECT_TRUE(coordinator.Leads());
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1"));
}

TEST_F(LeaderTest, AnswersThatAreLostChangeNoDecision) {
  TestCoordinator& coordinator = AddCoordinator("a");
  AddWorker("w1");
  RunUntilPlanned();
  Submit("job", "u1", 1);
  for (int i = 0; i < 4; ++i) {
    coordinator.bus.LoseNextControlAnswer();
    Run(kTestTtl / 5);
  }
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1"));
}

TEST_F(LeaderTest, AViewThatStartsOverIsNotBelievedBeforeItIsWholeAgain) {
  TestCoordinator& coordinator = AddCoordinator("a");
  AddWorker("w1");
  for (int i = 0; i < 3; ++i) Submit("job", "u1", 1);
  RunUntilPlanned();
  const uint64_t number = InForce().number;
  broker_.RollBack(StrCat("KV_", kJobsBucket), 0);
  Submit("job", "u1", 1);

  // The reader's error comes alone: the view is empty, and the job only seems to be gone.
  std::vector<BusEvent> events;
  ASSERT_EQ(coordinator.bus.Poll(absl::ZeroDuration(), 1, &events), 1u);
  ASSERT_EQ(events[0].type, BusEvent::Type::kReaderError);
  coordinator.leader->HandleEvent(events[0]);
  ASSERT_TRUE(coordinator.leader->view().jobs().entries().empty());
  coordinator.leader->Step();
  EXPECT_EQ(InForce().number, number);

  Submit("other", "u2", 1);
  Run(kTestTtl);
  EXPECT_THAT(OwnersInForce("u1"), ElementsAre("w1"));
  EXPECT_THAT(OwnersInForce("u2"), ElementsAre("w1"));
}

TEST_F(LeaderTest, AWorkerThatRenewsWhileTheViewIsReadAnewIsNotLost) {
  TestCoordinator& coordinator = AddCoordinator("a");
  WorkerLease& w1 = AddWorker("w1");
  WorkerLease& w2 = AddWorker("w2");
  Submit("job", "u1", 2);
  RunUntilPlanned();
  const uint64_t number = InForce().number;
  const auto hear = [&] {
    std::vector<BusEvent> events;
    ASSERT_EQ(coordinator.bus.Poll(absl::ZeroDuration(), 1, &events), 1u);
    coordinator.leader->HandleEvent(events[0]);
    coordinator.leader->Step();
  };
  std::vector<BusEvent> events;
  while (coordinator.bus.Poll(absl::ZeroDuration(), 1, &events) > 0) {
    coordinator.leader->HandleEvent(events.back());
  }
  broker_.RollBack(StrCat("KV_", kWorkersBucket), 0);
  Beat(w1);
  Beat(w2);
  hear();  // the reader's error; the bucket's end is asked for
  ASSERT_TRUE(coordinator.leader->view().workers().entries().empty());
  Beat(w2);
  Beat(w1);  // what stood before that end is gone now
  hear();
  ASSERT_EQ(coordinator.leader->view().workers().Find("w.w1"), nullptr);
  EXPECT_EQ(InForce().number, number);
  RunUntilPlanned();
  EXPECT_THAT(OwnersInForce("u1"), testing::UnorderedElementsAre("w1", "w2"));
  EXPECT_EQ(InForce().number, number);
}

// Each write of a leader's life is one at which it dies: beats, its term, assignments, a final.
class LeaderDeathTest : public ClusterTest, public testing::WithParamInterface<int> {};

TEST_P(LeaderDeathTest, TheNextLeaderEndsWithTheSameFacts) {
  TestCoordinator& first = AddCoordinator("a");
  first.life.DieAfterWrites(static_cast<uint64_t>(GetParam()));
  AddWorker("w1");
  AddWorker("w2");
  Submit("job", "u1", 3);
  Run(kTestTtl);
  if (!OwnersInForce("u1").empty()) Report("job", "u1", "completed");
  Run(kTestTtl);
  Kill("a");
  AddCoordinator("b");
  Run(3 * kTestTtl);
  ASSERT_TRUE(coordinators_["b"]->Leads());
  if (!Final("u1").has_value()) Report("job", "u1", "completed");
  Run(kTestTtl);
  ASSERT_TRUE(Final("u1").has_value());
  EXPECT_EQ(Final("u1")->state, "completed");
  EXPECT_EQ(Final("u1")->records_in, 30u);
  EXPECT_THAT(OwnersInForce("u1"), IsEmpty());
  EXPECT_EQ(InForce().term, coordinators_["b"]->leader->leadership().term());
}

INSTANTIATE_TEST_SUITE_P(AtEachWrite, LeaderDeathTest, testing::Range(0, 12));

}  // namespace
}  // namespace millrace
