// What an owner does while another worker copies its state to own it: commits, and a checkpoint soon.
#include <gtest/gtest.h>

#include <random>

#include "tests/worker/partition/partition_harness.h"

namespace millrace {
namespace {

// So long that no checkpoint is due by itself.
constexpr absl::Duration kNeverDue = absl::Hours(1);

class PartitionMovesTest : public testing::Test {
 protected:
  PartitionMovesTest() { world_.checkpoint_interval = kNeverDue; }

  void Feed(int64_t count) {
    for (int64_t i = 0; i < count; ++i) world_.Feed({{"k", i}});
  }
  // Every event that there is; no time passes but what Step lets pass.
  void Run(PartitionOwner& owner, int steps = 2'000) {
    for (int i = 0; i < steps; ++i) owner.Step(random_);
  }
  void RunUntilApplied(PartitionOwner& owner, uint64_t offset) {
    for (int i = 0; i < 100'000 && owner.partition().offset().value() < offset; ++i) owner.Step(random_);
    ASSERT_EQ(owner.partition().offset().value(), offset);
  }

  PartitionWorld world_;
  std::mt19937_64 random_{11};
};

TEST_F(PartitionMovesTest, PutsWhatItHasAppliedIntoACheckpointSoon) {
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  Feed(10);
  RunUntilApplied(owner, 10);
  Run(owner);
  ASSERT_EQ(owner.partition().Report().checkpoint_offset, 0u) << "none is due";
  EXPECT_FALSE(owner.partition().Report().stored_for_move);
  owner.partition().SetMoves(true);
  EXPECT_FALSE(owner.partition().Report().stored_for_move);
  Run(owner);
  EXPECT_GE(owner.partition().Report().checkpoint_offset, 10u);
  EXPECT_TRUE(owner.partition().Report().stored_for_move);
}

TEST_F(PartitionMovesTest, OneThatHasAppliedNothingHasNothingToStore) {
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.partition().SetMoves(true);
  EXPECT_TRUE(owner.partition().Report().stored_for_move);
}

TEST_F(PartitionMovesTest, ACheckpointThatFailsIsTriedAgain) {
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  Feed(10);
  RunUntilApplied(owner, 10);
  world_.checkpoints.FailAfter(0);
  owner.partition().SetMoves(true);
  Run(owner);
  EXPECT_FALSE(owner.partition().Report().stored_for_move);
  world_.checkpoints.Recover();
  for (int i = 0; i < 100'000 && !owner.partition().Report().stored_for_move; ++i) owner.Step(random_);
  EXPECT_TRUE(owner.partition().Report().stored_for_move);
}

TEST_F(PartitionMovesTest, AMoveThatIsCalledOffLeavesItAsItWas) {
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.partition().SetMoves(true);
  owner.partition().SetMoves(false);
  Feed(10);
  RunUntilApplied(owner, 10);
  Run(owner);
  EXPECT_EQ(owner.partition().Report().checkpoint_offset, 0u);
  EXPECT_FALSE(owner.partition().Report().stored_for_move);
}

}  // namespace
}  // namespace millrace
