// Two segments at work together on one broker, stepped one event at a time: what crosses between them is
// there once and in order, whoever dies when.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "common/strings.h"
#include "tests/worker/partition/partition_harness.h"
#include "tests/worker/partition/two_segment_run.h"
#include "worker/partition/log_tail.h"

namespace millrace {
namespace {

TEST(SegmentsTest, RunToTheirEnd) {
  PartitionWorld world(PartitionWorld::TwoSegments());
  std::mt19937_64 random(1);
  const KeyTotals totals = FeedKeys(world, 60, random);
  world.FeedEnd();
  TwoSegmentRun run(world, random);
  ASSERT_TRUE(run.RunToEnd(400'000)) << run.Reports();
  ExpectAnswer(world, totals);
}

TEST(SegmentsTest, AnswerRightWhereverTheyAreKilled) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world(PartitionWorld::TwoSegments());
    std::mt19937_64 random(seed);
    const KeyTotals totals = FeedKeys(world, 40, random);
    world.FeedEnd();
    TwoSegmentRun run(world, random);
    for (int kills = 0; kills < 30; ++kills) {
      for (uint64_t steps = random() % 300; steps > 0; --steps) run.StepOne();
      // Now and then on a worker with no state, or with one of long ago.
      run.Start(random() % run.size(), random() % 4 == 0 ? "w2" : "w1");
    }
    ASSERT_TRUE(run.RunToEnd(400'000)) << run.Reports();
    ExpectAnswer(world, totals);
  }
}

// A stopped owner of the first segment goes on among its heir's messages, acknowledged and all; then its
// folder, with what it has committed meanwhile, is what the next owner starts from.
TEST(SegmentsTest, AZombiesOutputsAreTakenByNobodyAndItsStateIsNotTrusted) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world(PartitionWorld::TwoSegments());
    std::mt19937_64 random(seed);
    const KeyTotals totals = FeedKeys(world, 60, random);
    TwoSegmentRun run(world, random);
    for (uint64_t i = 100 + random() % 400; i > 0; --i) run.StepOne();
    std::unique_ptr<PartitionOwner> zombie = run.Take(0);
    zombie->bus().HoldAppends();
    for (int i = 0; i < 60; ++i) zombie->Step(random);
    run.Start(0, "w2");
    world.FeedEnd();
    for (uint64_t i = random() % 2'000; i > 0; --i) {
      run.StepOne();
      if (random() % 3 != 0) continue;
      zombie->bus().ReleaseAppends(1);
      zombie->Step(random);
    }
    if (random() % 2 == 0) {
      zombie->bus().ReleaseAppends();
      for (int i = 0; i < 2'000; ++i) zombie->Step(random);
    }
    run.Take(0);
    zombie.reset();
    run.Start(0, "w1");
    ASSERT_TRUE(run.RunToEnd(400'000)) << run.Reports();
    ExpectAnswer(world, totals);
  }
}

// A worker that was given a partition and lost it again at once has claimed an epoch and marked it; nobody
// runs under it. Readers take nothing more of the owner before it, whose appends are acknowledged all the
// same.
TEST(SegmentsTest, AnOwnerBehindAClaimThatCameToNothingOpensAnew) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world(PartitionWorld::TwoSegments());
    std::mt19937_64 random(seed);
    const KeyTotals totals = FeedKeys(world, 60, random);
    world.FeedEnd();
    TwoSegmentRun run(world, random);
    for (int claims = 0; claims < 6; ++claims) {
      for (uint64_t steps = random() % 800; steps > 0; --steps) run.StepOne();
      const size_t i = random() % run.size();
      ASSERT_TRUE(PartitionOwner(world, "w9", run.key(i)).opened().ok());
    }
    for (int i = 0; i < 400'000 && (i % 64 != 0 || !run.completed()); ++i) {
      const size_t stepped = run.StepOne();
      if (run.owner(stepped).partition().released()) run.Start(stepped, "w1");
    }
    ASSERT_TRUE(run.completed()) << run.Reports();
    ExpectAnswer(world, totals);
  }
}

TEST(SegmentsTest, SendAgainWhatWasLostOnTheWay) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world(PartitionWorld::TwoSegments());
    std::mt19937_64 random(seed);
    const KeyTotals totals = FeedKeys(world, 40, random);
    world.FeedEnd();
    TwoSegmentRun run(world, random);
    for (int i = 0; i < 30'000; ++i) {
      MemoryBus& bus = run.owner(run.StepOne()).bus();
      switch (random() % 80) {
        case 0:
          bus.HoldAcks();
          break;
        case 1:
          bus.DropHeldAcks();
          break;
        case 2:
          bus.HoldAppends();
          break;
        case 3:
          bus.DropHeldAppends();
          break;
        case 4:
          bus.ReleaseAppends(1);
          break;
        case 5:
          bus.Disconnect();
          break;
        case 6:
          bus.Reconnect();
          break;
        case 7:
          bus.RefuseAppends(absl::ResourceExhaustedError("full"));
          break;
        case 8:
          bus.RefuseAppends(absl::OkStatus());
          break;
        case 9:
          world.clock.Advance(absl::Seconds(6));
          break;
        default:
          break;
      }
    }
    for (size_t i = 0; i < run.size(); ++i) {
      MemoryBus& bus = run.owner(i).bus();
      bus.RefuseAppends(absl::OkStatus());
      bus.Reconnect();
      bus.ReleaseAppends();
      bus.ReleaseAcks();
    }
    bool completed = false;
    for (int i = 0; i < 40 && !completed; ++i) {
      world.clock.Advance(absl::Seconds(6));
      completed = run.RunToEnd(20'000);
    }
    ASSERT_TRUE(completed) << run.Reports();
    ExpectAnswer(world, totals);
  }
}

// The greatest watermark that partition 0 of the first segment has told this one of the next.
int64_t LatestWatermark(PartitionWorld& world, uint32_t downstream) {
  const std::unique_ptr<MemoryBus> bus = world.broker.Connect();
  int64_t latest = kNoTime;
  const auto taken = [&](const Message& message, const MessageHeader& header) {
    const auto frame = FrameView::Parse(message.payload);
    if (frame.ok() && header.writer == "0.0") latest = std::max(latest, frame->watermark_ms());
    return absl::OkStatus();
  };
  const PartitionKey next = {world.key.job, world.key.uid, SegmentId(1), PartitionId(downstream)};
  EXPECT_TRUE(
      ReadLogTail(*bus, world.clock, {next.input_stream(), 1, false}, WriterCursors(next.uid), taken).ok());
  return latest;
}

void FeedUntilWatermarksAreTold(PartitionWorld& world) {
  std::mt19937_64 random(7);
  TwoSegmentRun run(world, random);
  world.Feed({}, 0, 5'000);
  world.Feed({{"key", 1, "group"}}, 0, 6'000);
  for (int i = 0; i < 4'000; ++i) run.StepOne();
  world.clock.Advance(absl::Seconds(2));
  for (int i = 0; i < 4'000; ++i) run.StepOne();
}

TEST(SegmentsTest, AnIdlePartitionTellsTheNextSegmentItsWatermark) {
  PartitionWorld world(PartitionWorld::TwoSegments());
  FeedUntilWatermarksAreTold(world);
  EXPECT_EQ(LatestWatermark(world, 0), 6'000);
  EXPECT_EQ(LatestWatermark(world, 1), 6'000);
}

TEST(SegmentsTest, AWindowHoldsTheNextSegmentsWatermarkBackByItsLateness) {
  JobSpec spec = PartitionWorld::TwoSegments();
  const std::vector<AggregateColumn> columns = std::get<AggregateStage>(spec.stages[0].what).columns;
  WindowStage window;
  window.size = window.every = absl::Hours(1);
  window.lateness = absl::Milliseconds(1500);
  window.columns = columns;
  spec.stages[0].what = window;
  PartitionWorld world(spec);
  FeedUntilWatermarksAreTold(world);
  EXPECT_EQ(LatestWatermark(world, 0), 4'500);
  EXPECT_EQ(LatestWatermark(world, 1), 4'500);
}

}  // namespace
}  // namespace millrace
