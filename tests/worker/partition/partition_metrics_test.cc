#include "worker/partition/partition_metrics.h"

#include <gtest/gtest.h>

#include "tests/support/metric_value.h"
#include "tests/worker/partition/partition_harness.h"

namespace millrace {
namespace {

class PartitionMetricsTest : public testing::Test {
 protected:
  static constexpr int kMaxTurns = 1000;  // far more than anything here takes

  static std::optional<double> Value(PartitionWorld& world, const std::string& name) {
    return MetricValue(world.metrics.Text(), "millrace_" + name);
  }
  static void DeliverAll(PartitionOwner& owner) {
    while (owner.DeliverOne()) {
    }
  }

  PartitionWorld world_;
};

TEST_F(PartitionMetricsTest, ShowsHowManyMessagesWaitAndForHowLong) {
  for (int i = 0; i < 3; ++i) world_.Feed({{"a", i}});
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.Tick();
  EXPECT_EQ(Value(world_, "queue_depth"), 0);
  EXPECT_EQ(Value(world_, "oldest_record_seconds"), 0);

  DeliverAll(owner);
  world_.clock.Advance(absl::Seconds(2));
  owner.Tick();
  EXPECT_EQ(Value(world_, "queue_depth"), 3);
  EXPECT_NEAR(*Value(world_, "oldest_record_seconds"), 2, 0.1);

  owner.Work();
  owner.Tick();
  EXPECT_EQ(Value(world_, "queue_depth"), 0);
  EXPECT_EQ(Value(world_, "oldest_record_seconds"), 0);
}

TEST_F(PartitionMetricsTest, MeasuresOneMessageOfEachTurn) {
  for (int i = 0; i < 3; ++i) world_.Feed({{"a", i}});
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  DeliverAll(owner);
  world_.clock.Advance(absl::Seconds(2));
  owner.Work();
  owner.Work();  // nothing is left for it
  EXPECT_EQ(Value(world_, "process_seconds_count"), 1);
  EXPECT_EQ(Value(world_, "queue_seconds_count"), 1);
  EXPECT_NEAR(*Value(world_, "queue_seconds_sum"), 2, 0.1);
}

TEST_F(PartitionMetricsTest, ABrokerClockThatRunsAheadMakesNoNegativeWait) {
  ManualClock fast(world_.clock.Now() + absl::Hours(1));
  world_.Feed({{"a", 1}});
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  Message message;
  message.sequence = 1;
  message.time_ns = absl::ToUnixNanos(fast.Now());
  owner.partition().HandleMessage(message);
  owner.Work();
  EXPECT_EQ(Value(world_, "queue_seconds_count"), 1);
  EXPECT_EQ(Value(world_, "queue_seconds_sum"), 0);
}

TEST_F(PartitionMetricsTest, ShowsWhatTheBrokerHasNotAcknowledged) {
  world_.Feed({{"a", 1}});
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.bus().HoldAcks();
  DeliverAll(owner);
  owner.Work();
  owner.Tick();
  EXPECT_EQ(Value(world_, "inflight"), 1);
  owner.bus().ReleaseAcks();
  DeliverAll(owner);
  owner.Tick();
  EXPECT_EQ(Value(world_, "inflight"), 0);
}

TEST_F(PartitionMetricsTest, ShowsWhatTheNextSegmentHasNotAcknowledged) {
  PartitionWorld world(PartitionWorld::TwoSegments());
  world.Feed({{"a", 1, "g"}});
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.bus().HoldAcks();
  for (int i = 0; i < kMaxTurns && Value(world, "inflight") != 1; ++i) {
    DeliverAll(owner);
    owner.Work();
    owner.Tick();
  }
  EXPECT_EQ(Value(world, "inflight"), 1);
}

TEST_F(PartitionMetricsTest, MeasuresEveryCommitThatCameToTheDisk) {
  world_.Feed({{"a", 1}, {"b", 2}});
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  bool committed = false;
  for (int i = 0; i < kMaxTurns && !committed; ++i) {
    DeliverAll(owner);
    owner.Work();
    owner.Tick();
    if (owner.WriteCommit()) {
      EXPECT_EQ(Value(world_, "commit_seconds_count"), 0) << "the lane has not heard of it";
      committed = owner.AnswerCommit();
    }
  }
  EXPECT_EQ(Value(world_, "commit_seconds_count"), 1);
  EXPECT_GT(Value(world_, "commit_seconds_sum"), 0);
  EXPECT_EQ(Value(world_, "commit_bytes_count"), 1);
  EXPECT_GT(Value(world_, "commit_bytes_sum"), 0);
}

TEST_F(PartitionMetricsTest, IsFencedOnceAndTheCountOutlivesThePartition) {
  {
    PartitionOwner owner(world_, "w1");
    ASSERT_TRUE(owner.opened().ok()) << owner.opened();
    owner.Tick();
    EXPECT_EQ(Value(world_, "fenced_total"), 0);
    owner.partition().HandleLaterOwner(true);
    owner.partition().Supersede("the lease is gone");
    EXPECT_EQ(Value(world_, "fenced_total"), 1);
  }
  EXPECT_EQ(Value(world_, "fenced_total"), 1);
  EXPECT_EQ(Value(world_, "queue_depth"), std::nullopt);
}

TEST_F(PartitionMetricsTest, APartitionThatIsReleasedWasNotFenced) {
  PartitionOwner owner(world_, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.partition().BeginRelease();
  EXPECT_TRUE(owner.partition().released());
  EXPECT_EQ(Value(world_, "fenced_total"), 0);
}

}  // namespace
}  // namespace millrace
