#include "worker/partition/partition.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "common/strings.h"
#include "tests/worker/partition/partition_harness.h"

namespace millrace {
namespace {

// Feeds `frames` frames of running values over a few keys and returns the outputs that must come of them, in
// order.
std::vector<Output> FeedLedger(PartitionWorld& world, int frames, std::mt19937_64& random) {
  std::map<std::string, std::pair<int64_t, int64_t>> totals;
  std::vector<Output> expected;
  const uint64_t first = world.feeder->GetStream(world.key.input_stream())->last_sequence + 1;
  for (int f = 0; f < frames; ++f) {
    std::vector<PartitionWorld::Record> records;
    for (uint64_t n = 1 + random() % 5; n > 0; --n) {
      const std::string key = StrCat("key-", random() % 4);
      auto& [count, sum] = totals[key];
      ++count;
      sum += count;
      Output output;
      output.key = key;
      output.value_json = StrCat(R"({"n":)", count, R"(,"sum":)", sum, "}");
      output.offset = first + static_cast<uint64_t>(f);
      output.index = static_cast<uint32_t>(records.size());
      expected.push_back(output);
      records.push_back({key, count});
    }
    world.Feed(records);
  }
  return expected;
}

void ExpectSame(const std::vector<Output>& actual, const std::vector<Output>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].offset, expected[i].offset) << "output " << i;
    ASSERT_EQ(actual[i].index, expected[i].index) << "output " << i;
    ASSERT_EQ(actual[i].key, expected[i].key) << "output " << i;
    ASSERT_EQ(actual[i].value_json, expected[i].value_json) << "output " << i;
  }
}

TEST(PartitionTest, RunsALogToItsEnd) {
  PartitionWorld world;
  std::mt19937_64 random(1);
  const std::vector<Output> expected = FeedLedger(world, 50, random);
  world.FeedEnd();
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  ASSERT_TRUE(owner.RunToEnd(random));
  ExpectSame(world.Results(), expected);
  EXPECT_TRUE(world.ResultsEnded());
  EXPECT_EQ(owner.partition().Report().committed_offset, 51u);
}

// With a limit of one record a second behind it, and the first two at once.
JobSpec PacedTotal() {
  JobSpec spec = PartitionWorld::RunningTotal();
  StageSpec limit;
  RateLimitStage rate;
  rate.burst = 2;
  rate.per = RateLimitStage::Per::kStage;
  limit.what = rate;
  limit.code.name = "calm";
  spec.stages.push_back(limit);
  return spec;
}

TEST(PartitionTest, ARateLimitHoldsRecordsBackUntilTheyAreDue) {
  PartitionWorld world(PacedTotal());
  world.Feed({{"a", 1}, {"a", 2}, {"a", 3}, {"a", 4}});
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  const auto passed = [&] {
    while (owner.DeliverOne()) {
    }
    for (int i = 0; i < 5; ++i) owner.Work();
    return owner.partition().Report().records_out;
  };
  EXPECT_EQ(passed(), 2u);
  world.clock.Advance(absl::Milliseconds(999));
  EXPECT_EQ(passed(), 2u);
  world.clock.Advance(absl::Milliseconds(1));
  EXPECT_EQ(passed(), 3u);
  EXPECT_EQ(owner.partition().Report().retries, 0u);
  world.clock.Advance(absl::Seconds(1));
  EXPECT_EQ(passed(), 4u);
}

// There is always a next message to wait for, and a commit comes between two of them.
TEST(PartitionTest, StateIsCommittedAlthoughEveryMessageWaits) {
  PartitionWorld world(PacedTotal());
  for (int i = 0; i < 20; ++i) world.Feed({{"a", 1}});
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  while (owner.DeliverOne()) {
  }
  for (int turn = 0; turn < 50; ++turn) {
    world.clock.Advance(absl::Milliseconds(200));
    owner.Work();
    while (owner.DeliverOne()) {
    }
    owner.Tick();
    owner.WriteCommit();
    owner.AnswerCommit();
  }
  const PartitionReport report = owner.partition().Report();
  EXPECT_LT(report.offset, 20u);
  EXPECT_GE(report.committed_offset + 2, report.offset);
}

TEST(PartitionTest, ARecordThatWaitsIsNeitherLostNorDoubledWhereverItsOwnerIsKilled) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world(PacedTotal());
    std::mt19937_64 random(seed);
    const std::vector<Output> expected = FeedLedger(world, 8, random);
    world.FeedEnd();
    bool completed = false;
    for (int life = 0; life < 200 && !completed; ++life) {
      PartitionOwner owner(world, random() % 4 == 0 ? "w2" : "w1");
      ASSERT_TRUE(owner.opened().ok()) << owner.opened();
      for (int turn = 0; turn < 20 && !completed; ++turn) {
        completed = owner.RunToEnd(random, static_cast<int>(random() % 40));
        world.clock.Advance(absl::Milliseconds(random() % 700));
      }
    }
    ASSERT_TRUE(completed);
    ExpectSame(world.Results(), expected);
  }
}

TEST(PartitionTest, AnswersRightWhereverItIsKilled) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world;
    std::mt19937_64 random(seed);
    const std::vector<Output> expected = FeedLedger(world, 30, random);
    world.FeedEnd();
    bool completed = false;
    for (int life = 0; life < 200 && !completed; ++life) {
      // Now and then another worker, without this one's state.
      PartitionOwner owner(world, random() % 4 == 0 ? "w2" : "w1");
      ASSERT_TRUE(owner.opened().ok()) << owner.opened();
      completed = owner.RunToEnd(random, static_cast<int>(20 + random() % 150));
    }
    ASSERT_TRUE(completed);
    ExpectSame(world.Results(), expected);
  }
}

TEST(PartitionTest, AnswersRightFromCheckpointsWhereverItIsKilled) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world;
    world.checkpoint_interval = absl::Milliseconds(20);
    std::mt19937_64 random(seed);
    const std::vector<Output> expected = FeedLedger(world, 30, random);
    world.FeedEnd();
    bool completed = false;
    for (int life = 0; life < 200 && !completed; ++life) {
      // Mostly a worker that has nothing here.
      const std::string folder = random() % 4 == 0 ? "w1" : StrCat("new-", life);
      if (random() % 8 == 0) world.checkpoints.FailAfter(random() % 12);
      PartitionOwner owner(world, folder, /*failures=*/100);
      ASSERT_TRUE(owner.opened().ok()) << owner.opened();
      completed = owner.RunToEnd(random, static_cast<int>(20 + random() % 150));
      world.checkpoints.Recover();
    }
    ASSERT_TRUE(completed);
    ExpectSame(world.Results(), expected);
  }
}

TEST(PartitionTest, AZombiesHeldAppendsAreTakenByNobody) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world;
    std::mt19937_64 random(seed);
    const std::vector<Output> expected = FeedLedger(world, 40, random);
    PartitionOwner zombie(world, "w1");
    ASSERT_TRUE(zombie.opened().ok());
    for (uint64_t i = 20 + random() % 60; i > 0; --i) zombie.Step(random);
    zombie.bus().HoldAppends();
    for (int i = 0; i < 40; ++i) zombie.Step(random);
    PartitionOwner heir(world, "w2");
    ASSERT_TRUE(heir.opened().ok()) << heir.opened();
    world.FeedEnd();
    // The held appends arrive one by one among the heir's; some land between two of its expected sequences.
    bool completed = false;
    for (int i = 0; i < 20'000 && !completed; ++i) {
      if (random() % 3 == 0) zombie.bus().ReleaseAppends(1);
      heir.Step(random);
      completed = heir.partition().Report().state == "completed";
    }
    ASSERT_TRUE(completed);
    ExpectSame(world.Results(), expected);
    for (int i = 0; i < 2'000 && !zombie.partition().released(); ++i) {
      zombie.bus().ReleaseAppends();
      zombie.Step(random);
    }
    ExpectSame(world.Results(), expected);
  }
}

TEST(PartitionTest, SendsAgainWhatWasLostOnTheWay) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    PartitionWorld world;
    std::mt19937_64 random(seed);
    const std::vector<Output> expected = FeedLedger(world, 40, random);
    world.FeedEnd();
    PartitionOwner owner(world, "w1");
    ASSERT_TRUE(owner.opened().ok());
    bool completed = false;
    for (int i = 0; i < 50'000 && !completed; ++i) {
      switch (random() % 60) {
        case 0:
          owner.bus().HoldAcks();
          break;
        case 1:
          owner.bus().DropHeldAcks();
          break;
        case 2:
          owner.bus().HoldAppends();
          break;
        case 3:
          owner.bus().DropHeldAppends();
          break;
        case 4:
          owner.bus().ReleaseAppends(1);
          break;
        case 5:
          owner.bus().Disconnect();
          break;
        case 6:
          owner.bus().Reconnect();
          break;
        case 7:
          world.clock.Advance(absl::Seconds(6));
          break;
        default:
          break;
      }
      owner.Step(random);
      completed = owner.partition().Report().state == "completed";
    }
    owner.bus().Reconnect();
    owner.bus().ReleaseAppends();
    owner.bus().ReleaseAcks();
    for (int i = 0; i < 50'000 && !completed; ++i) {
      owner.Step(random);
      if (random() % 100 == 0) world.clock.Advance(absl::Seconds(6));
      completed = owner.partition().Report().state == "completed";
    }
    ASSERT_TRUE(completed) << owner.partition().Report().state << " " << owner.partition().Report().reason;
    ExpectSame(world.Results(), expected);
  }
}

TEST(PartitionTest, StopsLoudlyWhenItsInputWasRolledBack) {
  PartitionWorld world;
  std::mt19937_64 random(3);
  FeedLedger(world, 20, random);
  {
    PartitionOwner owner(world, "w1");
    ASSERT_TRUE(owner.opened().ok());
    for (int i = 0; i < 2'000; ++i) owner.Step(random);
    ASSERT_EQ(owner.partition().Report().committed_offset, 20u);
  }
  world.broker.RollBack(world.key.input_stream(), 12);
  PartitionOwner owner(world, "w1");
  EXPECT_TRUE(absl::IsDataLoss(owner.opened())) << owner.opened();
}

TEST(PartitionTest, StopsLoudlyWhenAStreamWasMadeAnew) {
  PartitionWorld world;
  std::mt19937_64 random(3);
  FeedLedger(world, 20, random);
  {
    PartitionOwner owner(world, "w1");
    ASSERT_TRUE(owner.opened().ok());
    for (int i = 0; i < 2'000; ++i) owner.Step(random);
  }
  absl::StatusOr<StreamInfo> info = world.feeder->GetStream(world.key.result_stream());
  ASSERT_TRUE(info.ok());
  ASSERT_TRUE(world.feeder->DeleteStream(world.key.result_stream()).ok());
  ASSERT_TRUE(world.feeder->CreateStream(info->config).ok());
  PartitionOwner owner(world, "w1");
  EXPECT_TRUE(absl::IsDataLoss(owner.opened())) << owner.opened();
}

TEST(PartitionTest, RefusesAStreamOfSomebodyElse) {
  PartitionWorld world;
  absl::StatusOr<StreamInfo> info = world.feeder->GetStream(world.key.input_stream());
  ASSERT_TRUE(info.ok());
  ASSERT_TRUE(world.feeder->DeleteStream(world.key.input_stream()).ok());
  info->config.description = "a stream of the shop's";
  ASSERT_TRUE(world.feeder->CreateStream(info->config).ok());
  PartitionOwner owner(world, "w1");
  EXPECT_TRUE(absl::IsDataLoss(owner.opened())) << owner.opened();
}

TEST(PartitionTest, TakesAStrangersMessageAsOneRecord) {
  PartitionWorld world;
  std::mt19937_64 random(4);
  world.FeedStranger(R"({"k":"a","v":5})");
  world.FeedStranger("not json");
  world.FeedEnd();
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok());
  ASSERT_TRUE(owner.RunToEnd(random));
  ExpectSame(world.Results(), {{"a", R"({"n":1,"sum":5})", 1, 0}});
  EXPECT_EQ(owner.partition().Report().dead_letters, 1u);
  EXPECT_EQ(world.feeder->GetStream(DeadLetterStream(world.key.job))->messages, 1u);
}

TEST(PartitionTest, CommitsWhenItIsReleasedAndTheNextOwnerGoesOnThere) {
  PartitionWorld world;
  std::mt19937_64 random(5);
  const std::vector<Output> expected = FeedLedger(world, 20, random);
  {
    PartitionOwner owner(world, "w1");
    ASSERT_TRUE(owner.opened().ok());
    for (int i = 0; i < 5'000 && owner.partition().offset() < Offset(10); ++i) owner.Step(random);
    ASSERT_GE(owner.partition().offset(), Offset(10));
    owner.partition().BeginRelease();
    for (int i = 0; i < 5'000 && !owner.partition().released(); ++i) owner.Step(random);
    ASSERT_TRUE(owner.partition().released());
  }
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok());
  EXPECT_GE(owner.partition().offset(), Offset(10));
  world.FeedEnd();
  ASSERT_TRUE(owner.RunToEnd(random));
  ExpectSame(world.Results(), expected);
}

TEST(PartitionTest, DoesNothingWhileItsLeaseIsNotGood) {
  PartitionWorld world;
  std::mt19937_64 random(6);
  FeedLedger(world, 10, random);
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok());
  owner.may_act = false;
  const uint64_t before = world.ResultMessages();
  for (int i = 0; i < 1'000; ++i) owner.Step(random);
  EXPECT_EQ(owner.partition().offset(), Offset(0));
  EXPECT_EQ(world.ResultMessages(), before);
}

void AppendWithHeader(PartitionWorld& world, const std::string& subject, const std::string& header) {
  AppendRequest request;
  request.subject = subject;
  request.header = header;
  request.payload = R"({"k":"a","v":5})";
  ASSERT_TRUE(world.feeder->AppendAndWait(request).ok());
}

TEST(PartitionTest, StopsLoudlyAtAMessageOfALaterWireVersion) {
  PartitionWorld world;
  std::mt19937_64 random(7);
  FeedLedger(world, 3, random);
  AppendWithHeader(world, world.key.input_subject(), StrCat("2 d ", world.key.uid, " in 1 0.0 1.0 1"));
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok());
  for (int i = 0; i < 2'000 && owner.partition().stop_cause().ok(); ++i) owner.Step(random);
  EXPECT_TRUE(absl::IsDataLoss(owner.partition().stop_cause())) << owner.partition().stop_cause();
  EXPECT_EQ(owner.partition().Report().state, "stopped");
  EXPECT_EQ(owner.partition().offset(), Offset(3));
}

TEST(PartitionTest, DropsAMessageOfAnotherUid) {
  PartitionWorld world;
  std::mt19937_64 random(8);
  AppendWithHeader(world, world.key.input_subject(), "1 d ffffffffffffffff in 1 0.0 1.0 1");
  world.FeedEnd();
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok());
  ASSERT_TRUE(owner.RunToEnd(random));
  EXPECT_TRUE(world.Results().empty());
}

TEST(PartitionTest, IsNotOpenedOnResultsOfALaterWireVersion) {
  PartitionWorld world;
  AppendWithHeader(world, world.key.result_subject(), StrCat("2 r ", world.key.uid, " 0.0 1 0.0 1.0 1"));
  PartitionOwner owner(world, "w1");
  EXPECT_TRUE(absl::IsDataLoss(owner.opened())) << owner.opened();
}

TEST(PartitionTest, ARecordIsTriedAgainThoughTheStateIsOverItsBudget) {
  JobSpec spec = PartitionWorld::RunningTotal();
  StageSpec picky;
  picky.what = FilterStage{"assert(r.v ~= 3)"};
  picky.code.name = "picky";
  picky.code.errors = ErrorPolicy{OnError::kRetry, {2, {absl::Seconds(1), absl::Seconds(1)}}};
  spec.stages.insert(spec.stages.begin(), picky);
  PartitionWorld world(std::move(spec));
  world.Feed({{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}});
  world.FeedEnd();
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  owner.partition().SetStateBudget(0);
  std::mt19937_64 random(1);
  bool completed = false;
  for (int second = 0; second < 10 && !completed; ++second) {
    completed = owner.RunToEnd(random, 1000);
    world.clock.Advance(absl::Seconds(1));
  }
  EXPECT_TRUE(completed);
  EXPECT_EQ(world.Results().size(), 3u);
  EXPECT_EQ(owner.partition().Report().dead_letters, 1u);
}

TEST(PartitionTest, ReportsWhatItInspectedAndSkipped) {
  JobSpec spec = PartitionWorld::RunningTotal();
  StageSpec picky, big;
  picky.what = FilterStage{"assert(r.v ~= 3)"};
  picky.code.name = "picky";
  picky.code.errors = ErrorPolicy{OnError::kSkip, {}};
  big.what = InspectStage{"r.v > 1"};
  big.code.name = "big";
  spec.stages.insert(spec.stages.begin(), {picky, big});
  PartitionWorld world(std::move(spec));
  std::mt19937_64 random(9);
  world.Feed({{"a", 1}, {"a", 2}, {"a", 3}, {"a", 4}});
  world.FeedEnd();
  PartitionOwner owner(world, "w1");
  ASSERT_TRUE(owner.opened().ok()) << owner.opened();
  ASSERT_TRUE(owner.RunToEnd(random));
  const PartitionReport report = owner.partition().Report();
  EXPECT_EQ(report.skipped, 1u);
  ASSERT_EQ(report.inspected.size(), 1u);
  EXPECT_EQ(report.inspected[0].stage, "big");
  EXPECT_EQ(report.inspected[0].records, 2u);
}

}  // namespace
}  // namespace millrace
