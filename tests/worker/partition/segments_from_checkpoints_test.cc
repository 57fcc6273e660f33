// Partitions of two segments that go on from checkpoints: how far each had read of every writer before it, and
// how far its outputs had come behind it, travel with the state.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "common/strings.h"
#include "tests/worker/partition/partition_harness.h"
#include "tests/worker/partition/two_segment_run.h"

namespace millrace {
namespace {

class SegmentsFromCheckpointsTest : public testing::TestWithParam<Retain> {};
INSTANTIATE_TEST_SUITE_P(Retain, SegmentsFromCheckpointsTest, testing::Values(Retain::kAll, Retain::kResults),
                         [](const auto& retain) { return retain.param == Retain::kAll ? "All" : "Results"; });

TEST_P(SegmentsFromCheckpointsTest, AnswerRightWhereverTheyAreKilled) {
  int restored = 0, trimmed = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    JobSpec job = PartitionWorld::TwoSegments();
    job.retain = GetParam();
    PartitionWorld world(job);
    world.checkpoint_interval = absl::Milliseconds(20);
    std::mt19937_64 random(seed);
    KeyTotals totals;
    TwoSegmentRun run(world, random);
    for (int kills = 0; kills < 20; ++kills) {
      for (const auto& [key, count] : FeedKeys(world, 4, random)) totals[key] += count;
      for (uint64_t steps = random() % 600; steps > 0; --steps) run.StepOne();
      // Mostly on a worker that has nothing of it.
      const size_t i = random() % run.size();
      const bool is_new = random() % 4 != 0;
      run.Start(i, is_new ? StrCat("new-", kills) : "w1");
      if (is_new && run.owner(i).partition().offset() > Offset(0)) ++restored;
    }
    world.FeedEnd();
    ASSERT_TRUE(run.RunToEnd(400'000)) << run.Reports();
    ExpectAnswer(world, totals);
    for (size_t i = 0; i < run.size(); ++i) {
      if (world.feeder->GetStream(run.key(i).input_stream())->first_sequence > 1) ++trimmed;
    }
  }
  EXPECT_GT(restored, 20);
  if (GetParam() == Retain::kResults) {
    EXPECT_GT(trimmed, 8) << "of sixteen logs";
  } else {
    EXPECT_EQ(trimmed, 0);
  }
}

class SegmentsFromCheckpointsByHandTest : public testing::Test {
 protected:
  // So long that checkpoints are made when a test lets it pass, and not before.
  static constexpr absl::Duration kInterval = absl::Hours(1);
  struct World : PartitionWorld {
    World() : PartitionWorld(TwoSegments()) { checkpoint_interval = kInterval; }
  };

  void Feed(int frames) {
    for (const auto& [key, count] : FeedKeys(world_, frames, random_)) totals_[key] += count;
  }
  static bool StepUntil(const std::function<void()>& step, const std::function<bool()>& reached) {
    for (int i = 0; i < 200'000 && !reached(); ++i) step();
    return reached();
  }
  // Everything in the owner's log is in a checkpoint; returns its offset.
  uint64_t Checkpoint(PartitionOwner& owner, const std::function<void()>& step) {
    const PartitionKey key = owner.partition().key();
    const uint64_t end = world_.feeder->GetStream(key.input_stream())->last_sequence;
    EXPECT_TRUE(StepUntil(step, [&] { return owner.partition().Report().committed_offset == end; }));
    world_.clock.Advance(kInterval);
    EXPECT_TRUE(StepUntil(step, [&] { return owner.partition().Report().checkpoint_offset == end; }));
    return end;
  }
  void ExpectRunsToTheEnd() {
    world_.FeedEnd();
    ASSERT_TRUE(run_.RunToEnd(400'000)) << run_.Reports();
    ExpectAnswer(world_, totals_);
  }

  World world_;
  std::mt19937_64 random_{11};
  KeyTotals totals_;
  TwoSegmentRun run_{world_, random_};
};

TEST_F(SegmentsFromCheckpointsByHandTest, WhatWasReadOfEveryWriterBeforeTravels) {
  constexpr size_t kSecondSegment = 2;
  Feed(30);
  const PartitionKey key = run_.owner(kSecondSegment).partition().key();
  ASSERT_TRUE(StepUntil([&] { run_.StepOne(); },
                        [&] {
                          return run_.owner(0).partition().Report().committed_offset > 10 &&
                                 run_.owner(1).partition().Report().committed_offset > 10 &&
                                 world_.feeder->GetStream(key.input_stream())->last_sequence > 4;
                        }));
  PartitionOwner& owner = run_.owner(kSecondSegment);
  const uint64_t offset = Checkpoint(owner, [&] { owner.Step(random_); });
  world_.broker.Purge(key.input_stream(), offset);  // the log alone cannot tell any more
  run_.Start(kSecondSegment, "w2");
  EXPECT_EQ(run_.owner(kSecondSegment).partition().offset(), Offset(offset));
  Feed(30);
  ExpectRunsToTheEnd();
}

// A stopped owner of the first segment goes on behind its heir's epoch mark: its outputs are acknowledged, and
// taken by nobody.
TEST_F(SegmentsFromCheckpointsByHandTest, NoneIsMadeOfWhatAnOwnerDidBehindItsHeirsClaim) {
  Feed(20);
  const uint64_t good = Checkpoint(run_.owner(0), [&] { run_.StepOne(); });
  const std::unique_ptr<PartitionOwner> zombie = run_.Take(0);
  run_.Start(0, "w2");
  run_.Take(0);  // the heir has marked its streams, and dies
  Feed(20);
  EXPECT_TRUE(StepUntil(
      [&] {
        zombie->Step(random_);
        world_.clock.Advance(kInterval);
      },
      [&] { return zombie->partition().released(); }));
  EXPECT_EQ(zombie->partition().Report().checkpoint_offset, good);
  run_.Start(0, "w3");
  EXPECT_EQ(run_.owner(0).partition().offset(), Offset(good));
  ExpectRunsToTheEnd();
}

TEST_F(SegmentsFromCheckpointsByHandTest, OneThatCountsOnOutputsNobodyHasTakenIsPassedOver) {
  Feed(20);
  const uint64_t good = Checkpoint(run_.owner(0), [&] { run_.StepOne(); });
  const std::unique_ptr<PartitionOwner> zombie = run_.Take(0);
  run_.Start(0, "w2");
  run_.Take(0);
  Feed(20);
  zombie->sees_later_owners = false;
  EXPECT_GT(Checkpoint(*zombie, [&] { zombie->Step(random_); }), good);
  run_.Start(0, "w3");
  EXPECT_EQ(run_.owner(0).partition().offset(), Offset(good));
  ExpectRunsToTheEnd();
}

}  // namespace
}  // namespace millrace
