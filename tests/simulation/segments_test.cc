// Interleavings of the owners of a partition in front of another segment.
#include <algorithm>

#include "common/frame/frame.h"
#include "tests/simulation/interleaving_fixture.h"

namespace millrace::sim {
namespace {

class SegmentsTest : public InterleavingTest {
 protected:
  SegmentsTest() {
    options_.ledger.group_partitions = 1;
    options_.ledger.groups = 6;
  }
  // What the one partition of the first segment has sent to one of the second.
  std::vector<OutsideHeader> Crossing(uint32_t to = 0) {
    std::vector<OutsideHeader> headers = Headers(InputStream(kJobName, SegmentId(1), PartitionId(to)));
    std::erase_if(headers, [](const OutsideHeader& header) { return header.writer != "0.0"; });
    return headers;
  }
  uint64_t CrossingEpoch() {
    uint64_t greatest = 0;
    for (const OutsideHeader& header : Crossing()) greatest = std::max(greatest, header.epoch);
    return greatest;
  }
  uint64_t StaleCrossing() {
    uint64_t greatest = 0, stale = 0;
    for (const OutsideHeader& header : Crossing()) {
      greatest = std::max(greatest, header.epoch);
      if (header.kind == 'r' && header.epoch < greatest) ++stale;
    }
    return stale;
  }
  bool HasEnd(uint32_t to) {
    const std::vector<OutsideHeader> crossing = Crossing(to);
    return std::any_of(crossing.begin(), crossing.end(),
                       [](const auto& header) { return header.kind == 'z'; });
  }
};

TEST_F(SegmentsTest, AZombiesOutputsStandBehindItsHeirsMark) {
  uint64_t landed = 0;
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return Crossing().size() >= 8; }));
    Cluster::Place* const owner = cluster.OwnerOf(0);
    ASSERT_NE(owner, nullptr);
    owner->process->link.out_cut = true;
    ASSERT_TRUE(Until([&] { return CrossingEpoch() == 2; }));
    owner->process->link.out_cut = false;
    Pass(absl::Seconds(1));
    landed += StaleCrossing();
    ExpectRightEnd();
  }
  EXPECT_GT(landed, 0u) << "no zombie's message got into the log: nothing was tried";
}

TEST_F(SegmentsTest, AnHeirsMessageBeginsInFrontOfWhatWasTaken) {
  bool overlaps = false;
  for (uint64_t seed = 1; seed <= 20 && !overlaps && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return Crossing().size() >= 8; }));
    Cluster::Place* const owner = cluster.OwnerOf(0);
    ASSERT_NE(owner, nullptr);
    cluster.Kill(*owner, absl::Milliseconds(50));
    ExpectRightEnd();
    OutsideMark mark;
    for (const OutsideHeader& header : Crossing()) {
      if (header.kind != 'r') continue;
      overlaps |= header.epoch > 1 && header.prev < mark && mark < header.upto;
      if (header.prev <= mark) mark = std::max(mark, header.upto);
    }
  }
  EXPECT_TRUE(overlaps) << "no message was cut elsewhere than the one that it repeats";
}

TEST_F(SegmentsTest, HalfOfTheEndMarksAreOutAtACrash) {
  options_.ledger.group_partitions = 2;
  bool half = false;
  for (uint64_t seed = 1; seed <= 10 && !half && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    AtFailpoint(
        "between_end_marks", [](Process&) { return true; },
        [this] {
          kernel().Sleep(absl::Milliseconds(5));
          kernel().KillCurrent();
        });
    ASSERT_TRUE(Until([&] { return cluster.deaths() == 1; }));
    half = HasEnd(0) != HasEnd(1);
    ExpectRightEnd();
  }
  EXPECT_TRUE(half) << "never was one end mark out without the other";
}

// Nothing but the claim and the mark tells of a later owner, which is gone again.
TEST_F(SegmentsTest, AnHeirComesAndGoesUnheard) {
  Cluster& cluster = Begin();
  ASSERT_TRUE(Until([&] { return Crossing().size() >= 8; }));
  MemoryBus& bus = cluster.network().direct();
  ASSERT_TRUE(bus.CreateKey(kEpochsBucket, EpochKey(cluster.uid(), "0.0", Epoch(2)), "an heir").ok());
  AppendRequest mark;
  const std::string subject = InputSubject(kJobName, SegmentId(1), PartitionId(0));
  const std::string header = StrCat("1 e ", cluster.uid(), " 0.0 2 0.0 0.0 0");
  FrameBuilder frame(FrameKind::kEpoch);
  const std::string payload(frame.Finish());
  mark.subject = subject;
  mark.header = header;
  mark.payload = payload;
  ASSERT_TRUE(bus.AppendAndWait(mark).ok());
  ExpectRightEnd();
  EXPECT_GE(CrossingEpoch(), 3u);
}

// The machine of an owner was suspended, and its clock did not count the time: it takes itself for the owner as
// before, and hears in one moment that the partition went to another and came back.
TEST_F(SegmentsTest, APartitionComesBackToAnOwnerThatMissedItsHeir) {
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return Crossing().size() >= 8; }));
    Cluster::Place* const owner = cluster.OwnerOf(0);
    ASSERT_NE(owner, nullptr);
    Cluster::Place& heir = cluster.worker(owner == &cluster.worker(0) ? 1 : 0);
    cluster.Suspend(*owner, absl::Seconds(20));
    ASSERT_TRUE(Until([&] { return CrossingEpoch() == 2; }));
    // The leader hears of the suspended one again, by what was on its way; then the heir leaves.
    cluster.RepeatLease(*owner);
    heir.wanted = false;
    for (int i = 0; i < 40 && cluster.OwnerOf(0) != owner; ++i) {
      cluster.RepeatLease(*owner);
      Pass(absl::Milliseconds(200));
    }
    ASSERT_EQ(cluster.OwnerOf(0), owner);
    ExpectRightEnd();
    EXPECT_GE(CrossingEpoch(), 3u) << "it went on as the owner that it was before";
  }
}

}  // namespace
}  // namespace millrace::sim
