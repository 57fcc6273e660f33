// Interleavings of two owners of a partition, and of an owner with its own crash.
#include "common/clock.h"
#include "tests/simulation/interleaving_fixture.h"
#include "worker/lane/watchdog.h"

namespace millrace::sim {
namespace {

class OwnersTest : public InterleavingTest {
 protected:
  // The owner dies behind its first message, which has come to the broker.
  void DieWhenTheFirstPartIsOut() {
    AtFailpoint(
        "after_output_sent", [](Process&) { return true; },
        [this] {
          kernel().Sleep(absl::Milliseconds(5));
          kernel().KillCurrent();
        });
  }
};

// The owner's pipelined appends are held on the way until its heir has marked the stream; then they arrive
// before the heir's first result.
void LetAppendsArriveBehindTheHeirsMark(Cluster& cluster, Kernel& kernel, absl::Duration limit,
                                        const std::function<uint64_t()>& results,
                                        const std::function<uint64_t()>& epoch) {
  ASSERT_TRUE(kernel.RunUntil([&] { return results() >= 8; }, limit));
  Cluster::Place* const owner = cluster.OwnerOf(0);
  ASSERT_NE(owner, nullptr);
  Cluster::Place& heir = cluster.worker(owner == &cluster.worker(0) ? 1 : 0);
  owner->process->link.out_cut = true;
  ASSERT_TRUE(kernel.RunUntil([&] { return epoch() == 2; }, limit));
  heir.process->link.extra_delay = absl::Milliseconds(200);
  owner->process->link.out_cut = false;
  kernel.RunUntil([] { return false; }, absl::Seconds(3));
  heir.process->link.extra_delay = absl::ZeroDuration();
}

TEST_F(OwnersTest, APipelinedZombieStandsBetweenTwoExpectedSequences) {
  uint64_t landed = 0;
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    LetAppendsArriveBehindTheHeirsMark(
        cluster, kernel(), kLimit, [&] { return ResultMessages(); }, [&] { return GreatestEpoch(); });
    landed += StaleResults();
    ExpectRightEnd();
  }
  EXPECT_GT(landed, 0u) << "no zombie's message got into the stream: nothing was tried";
}

TEST_F(OwnersTest, FiveIsRefusedWhileSixAndSevenLand) {
  bool seen = false;
  for (uint64_t seed = 1; seed <= 20 && !seen && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    LetAppendsArriveBehindTheHeirsMark(
        cluster, kernel(), kLimit, [&] { return ResultMessages(); }, [&] { return GreatestEpoch(); });
    // Two of the zombie's stand behind the heir's mark, and the first does not begin where the stream was.
    const std::vector<OutsideHeader> results = Results();
    OutsideMark mark;
    for (size_t i = 0; i + 2 < results.size(); ++i) {
      if (results[i].kind == 'r' && results[i].epoch == 1) mark = results[i].upto;
      if (results[i].kind != 'e' || results[i].epoch != 2) continue;
      const auto is_zombies = [&](size_t n) { return results[n].kind == 'r' && results[n].epoch == 1; };
      seen = is_zombies(i + 1) && is_zombies(i + 2) && results[i + 1].prev > mark;
      break;
    }
    ExpectRightEnd();
  }
  EXPECT_TRUE(seen) << "the interleaving did not come about";
}

TEST_F(OwnersTest, HalfOfAFramesOutputsAreOutAtACrash) {
  options_.ledger.key_bytes = 1500;
  options_.ledger.keys = 4;
  options_.ledger.records = 400;
  options_.frame_records = 100;
  bool half = false;
  for (uint64_t seed = 1; seed <= 10 && !half && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    DieWhenTheFirstPartIsOut();
    ASSERT_TRUE(Until([&] { return cluster.deaths() == 1; }));
    ASSERT_TRUE(Until([&] { return GreatestEpoch() == 2; }));
    for (const OutsideHeader& header : Results()) half |= header.kind == 'e' && header.prev.second > 0;
    ExpectRightEnd();
  }
  EXPECT_TRUE(half) << "no owner began in the middle of a frame's outputs";
}

TEST_F(OwnersTest, StateIsEnumeratedHalfWayAtACrash) {
  options_.ledger.handler = Handler::kFinal;
  options_.ledger.key_bytes = 1500;
  options_.ledger.keys = 120;
  options_.ledger.records = 240;
  options_.frame_records = 40;
  Cluster& cluster = Begin();
  DieWhenTheFirstPartIsOut();
  ASSERT_TRUE(Until([&] { return cluster.deaths() == 1; }));
  ASSERT_TRUE(Until([&] { return GreatestEpoch() == 2; }));
  bool half = false;
  for (const OutsideHeader& header : Results()) half |= header.kind == 'e' && header.prev.second > 0;
  EXPECT_TRUE(half) << "the walk was not cut in the middle";
  ExpectRightEnd();
}

TEST_F(OwnersTest, WhatBranchesKeepAndHoldUpComesThroughACrash) {
  options_.ledger.handler = Handler::kBranched;
  options_.ledger.group_partitions = 2;
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    for (size_t results = 10; results <= 30; results += 10) {
      ASSERT_TRUE(Until([&] { return ResultMessages() >= results; }));
      Cluster::Place* const owner = cluster.OwnerOf(0);
      ASSERT_NE(owner, nullptr);
      cluster.Kill(*owner, absl::Milliseconds(100));
    }
    ExpectRightEnd();
  }
}

TEST_F(OwnersTest, WindowsThatAreOpenComeThroughACrash) {
  options_.ledger.handler = Handler::kWindowed;
  options_.ledger.group_partitions = 2;
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    for (uint64_t commits = 5; commits <= 25; commits += 10) {
      ASSERT_TRUE(Until([&] { return cluster.oracle().commits_checked() >= commits; }));
      Cluster::Place* const owner = cluster.OwnerOf(0);
      ASSERT_NE(owner, nullptr);
      cluster.Kill(*owner, absl::Milliseconds(100));
    }
    ExpectRightEnd();
  }
}

TEST_F(OwnersTest, AVerdictIsGivenThenTheProcessIsGone) {
  options_.ledger.handler = Handler::kLua;
  Cluster& cluster = Begin();
  ASSERT_TRUE(Until([&] { return ResultMessages() >= 10; }));
  Cluster::Place* const owner = cluster.OwnerOf(0);
  ASSERT_NE(owner, nullptr);
  // A simulated handler takes no time: the watchdog is told by hand that the owner's next record overran.
  const PartitionKey key{kJobName, cluster.uid(), SegmentId(0), PartitionId(0)};
  MemoryBus& bus = cluster.network().direct();
  ManualClock clock;
  absl::StatusOr<LogTail> tail =
      ReadLogTail(bus, clock, {key.verdict_stream(), 1}, WriterCursors(cluster.uid()));
  ASSERT_TRUE(tail.ok()) << tail.status();
  const uint64_t verdicts_before = tail->last_sequence;
  Watchdog watchdog(bus, clock, [&] { cluster.Kill(*owner, absl::Milliseconds(100)); });
  Watchdog::Slot slot(watchdog, 1, key, Epoch(1), *std::move(tail), Mark{});
  const std::string stage = "keyed";
  slot.Enter(Offset(LastOf(key.input_stream()) + 1), 0, absl::Seconds(2), stage);
  clock.Advance(absl::Seconds(3));
  watchdog.Check();
  EXPECT_EQ(cluster.deaths(), 1u);
  EXPECT_EQ(LastOf(key.verdict_stream()), verdicts_before + 1);
  // One attempt is used up; the next owner makes another, and it holds.
  ExpectRightEnd();
  EXPECT_EQ(GreatestEpoch(), 2u);
}

TEST_F(OwnersTest, ALeaseThatRunsOutWhileItIsRenewedIsLost) {
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 8; }));
    Cluster::Place* const owner = cluster.OwnerOf(0);
    ASSERT_NE(owner, nullptr);
    const std::string before = cluster.Lease(*owner).incarnation;
    // The renewal is held on its way until the partition has another owner; then it arrives.
    owner->process->link.out_cut = true;
    ASSERT_TRUE(Until([&] { return GreatestEpoch() == 2; }));
    owner->process->link.out_cut = false;
    Pass(absl::Seconds(1));
    EXPECT_NE(cluster.Lease(*owner).incarnation, before) << "it took itself for the owner all the time";
    ExpectRightEnd();
  }
}

TEST_F(OwnersTest, TheResultStreamIsBehindTheCommit) {
  Cluster& cluster = Begin();
  ASSERT_TRUE(Until([&] { return cluster.oracle().commits_checked() >= 10; }));
  const uint64_t results = ResultMessages();
  for (uint32_t w = 0; w < options_.workers; ++w) cluster.Kill(cluster.worker(w), absl::Milliseconds(100));
  // A broker that lost what it had acknowledged.
  cluster.network().broker().RollBack(ResultStream(kJobName, PartitionId(0)), 2);
  Pass(absl::Seconds(20));
  EXPECT_FALSE(cluster.Ended());
  EXPECT_GT(results, 2u);
  EXPECT_EQ(ResultMessages(), 2u) << "results were put out over a gap";
  const Cluster::Place* const owner = cluster.OwnerOf(0);
  ASSERT_NE(owner, nullptr);
  const absl::StatusOr<KeyValue> lease =
      cluster.network().direct().GetKey(kWorkersBucket, StrCat("w.", owner->name()));
  ASSERT_TRUE(lease.ok());
  EXPECT_NE(lease->value.find("\"stopped\""), std::string::npos) << lease->value;
}

}  // namespace
}  // namespace millrace::sim
