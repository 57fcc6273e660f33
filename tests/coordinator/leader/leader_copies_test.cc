// The leader and copies of state: planned moves wait for them, and the owner that is lost has a standby.
#include "gmock/gmock.h"
#include "tests/coordinator/leader/cluster_fixture.h"

namespace millrace {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kStored = 100;

class LeaderCopiesTest : public ClusterTest {
 protected:
  // w1 owns two partitions of u1, and says that they run; then w2 joins, and one of them is to be its.
  void BeginMove() {
    AddCoordinator("a");
    AddWorker("w1").checkpoints = true;
    Submit("job", "u1", 2);
    RunUntilPlanned();
    Report("job", "u1", "running");
    AddWorker("w2").checkpoints = true;
    Run(kTestTtl / 2);
  }
  JobAssignment Of(const std::string& uid) {
    for (const JobAssignment& job : InForce().jobs) {
      if (job.uid == uid) return job;
    }
    return {};
  }
  void SayStored(uint64_t offset) {
    for (PartitionReport& report : workers_["w1"].partitions) {
      report.stored_for_move = true;
      report.checkpoint_offset = offset;
    }
  }
  void SayCopied(const std::string& worker, uint32_t partition, uint64_t offset) {
    workers_[worker].copies = {{"u1", 0, partition, offset}};
  }
  void SubmitWithStandbys(uint32_t partitions) {
    JobRecord record;
    record.name = "job";
    record.uid = "u1";
    record.partitions = partitions;
    record.standbys = 1;
    EXPECT_TRUE(bus_.PutKey(kJobsBucket, "job.job", Encode(record)).ok());
  }
};

TEST_F(LeaderCopiesTest, AMoveWaitsUntilItsCopyIsThere) {
  BeginMove();
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w1"));
  EXPECT_THAT(Of("u1").next_owners, ElementsAre("", "w2"));
  SayStored(kStored);
  SayCopied("w2", 1, kStored - 1);
  Run(kTestTtl / 2);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w1"));
  SayCopied("w2", 1, kStored);
  Run(kTestTtl / 5);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w2"));
  EXPECT_THAT(Of("u1").next_owners, IsEmpty());
  EXPECT_EQ(coordinators_["a"]->leader->totals().moves, 1u);
}

TEST_F(LeaderCopiesTest, AMoveWaitsSoLongAndNoLonger) {
  BeginMove();
  Run(kCopyAheadLimit - kTestTtl);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w1"));
  Run(kTestTtl);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w2"));
}

TEST_F(LeaderCopiesTest, AnotherLeaderGoesOnWithTheSameMove) {
  BeginMove();
  Kill("a");
  AddCoordinator("b");
  Run(4 * kTestTtl);
  const JobAssignment waiting = Of("u1");
  EXPECT_THAT(waiting.next_owners, ElementsAre("", "w2"));
  SayStored(kStored);
  SayCopied("w2", 1, kStored);
  Run(kTestTtl / 2);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w2"));
}

TEST_F(LeaderCopiesTest, WhoHasNoStoreTakesAPartitionAtOnce) {
  AddCoordinator("a");
  AddWorker("w1").checkpoints = true;
  Submit("job", "u1", 2);
  RunUntilPlanned();
  Report("job", "u1", "running");
  AddWorker("w2");
  Run(kTestTtl / 5);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w2"));
}

TEST_F(LeaderCopiesTest, AnOwnerThatIsLostWaitsForNothing) {
  BeginMove();
  LoseWorker("w1");
  Run(2 * kTestTtl);
  EXPECT_THAT(Of("u1").owners, Each("w2"));
  EXPECT_THAT(Of("u1").next_owners, IsEmpty());
}

TEST_F(LeaderCopiesTest, ANextOwnerThatIsLostLeavesThePartitionWhereItIs) {
  BeginMove();
  LoseWorker("w2");
  Run(2 * kTestTtl);
  EXPECT_THAT(Of("u1").owners, Each("w1"));
  EXPECT_THAT(Of("u1").next_owners, IsEmpty());
}

TEST_F(LeaderCopiesTest, ADrainingOwnerThatHasLetAPartitionGoIsNotWaitedFor) {
  BeginMove();
  workers_["w1"].state = "draining";
  Run(kTestTtl / 5);
  EXPECT_THAT(Of("u1").next_owners, ElementsAre("w2", "w2"));
  workers_["w1"].partitions.pop_back();
  Run(kTestTtl / 5);
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w2"));
  EXPECT_THAT(Of("u1").next_owners, ElementsAre("w2", ""));
}

TEST_F(LeaderCopiesTest, NoMoreCopiesAtOnceThanMoves) {
  AddCoordinator("a");
  AddWorker("w1").checkpoints = true;
  Submit("job", "u1", 4 * kMaxMovesAtOnce);
  RunUntilPlanned();
  Report("job", "u1", "running");
  AddWorker("w2").checkpoints = true;
  Run(kTestTtl / 2);
  EXPECT_EQ(CountCopies(InForce().jobs), kMaxMovesAtOnce);
  Run(kTestTtl / 2);
  EXPECT_EQ(CountCopies(InForce().jobs), kMaxMovesAtOnce);
}

TEST_F(LeaderCopiesTest, AStandbyTakesOverAndAnotherFollows) {
  AddCoordinator("a");
  for (const char* name : {"w1", "w2", "w3"}) AddWorker(name).checkpoints = true;
  SubmitWithStandbys(3);
  RunUntilPlanned();
  Report("job", "u1", "running");
  Run(kTestTtl / 5);
  const JobAssignment before = Of("u1");
  ASSERT_EQ(before.standbys.size(), 3u);
  for (size_t p = 0; p < 3; ++p) EXPECT_NE(before.owners[p], before.standbys[p]) << p;
  const std::string lost = before.owners[0];
  LoseWorker(lost);
  Run(1.5 * kTestTtl);
  const JobAssignment after = Of("u1");
  EXPECT_EQ(after.owners[0], before.standbys[0]);
  for (size_t p = 0; p < 3; ++p) {
    EXPECT_NE(after.owners[p], after.standbys[p]) << p;
    EXPECT_FALSE(after.standbys[p].empty() || after.standbys[p] == lost) << p;
  }
}

TEST_F(LeaderCopiesTest, WithoutStoresNobodyStandsBy) {
  AddCoordinator("a");
  AddWorker("w1");
  AddWorker("w2");
  SubmitWithStandbys(2);
  RunUntilPlanned();
  EXPECT_THAT(Of("u1").owners, ElementsAre("w1", "w2"));
  EXPECT_THAT(Of("u1").standbys, IsEmpty());
}

TEST_F(LeaderCopiesTest, OnceItRestsNothingMoreIsWritten) {
  AddCoordinator("a");
  for (const char* name : {"w1", "w2", "w3"}) AddWorker(name).checkpoints = true;
  SubmitWithStandbys(5);
  RunUntilPlanned();
  Report("job", "u1", "running");
  Run(kTestTtl);
  const uint64_t number = InForce().number;
  Run(5 * kTestTtl);
  EXPECT_EQ(InForce().number, number);
}

}  // namespace
}  // namespace millrace
