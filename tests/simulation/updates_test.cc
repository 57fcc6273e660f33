// Interleavings of an update of the job's code: a partition's owners around its mark.
#include <algorithm>

#include "tests/simulation/interleaving_fixture.h"

namespace millrace::sim {
namespace {

class UpdatesTest : public InterleavingTest {
 protected:
  size_t Marks(uint32_t partition = 0) {
    const std::vector<OutsideHeader> log =
        Headers(InputStream(kJobName, SegmentId(0), PartitionId(partition)));
    return static_cast<size_t>(std::count_if(log.begin(), log.end(),
                                             [](const OutsideHeader& header) { return header.kind == 'c'; }));
  }
  // Whoever passes the point dies there, once.
  void DieOnceAt(const std::string& point) {
    AtFailpoint(
        point, [](Process&) { return true; },
        [this] {
          kernel().Sleep(absl::Milliseconds(5));  // what it has sent arrives
          kernel().KillCurrent();
        });
  }
};

TEST_F(UpdatesTest, TheOwnerDiesBehindItsMarkBeforeItIsRun) {
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 8; }));
    DieOnceAt("after_code_mark_sent");
    cluster.StartUpdate();
    ASSERT_TRUE(Until([&] { return cluster.deaths() == 1; }));
    ExpectRightEnd();
    EXPECT_GE(Marks(), 1u);
    EXPECT_EQ(cluster.oracle().code_marks(), 1u);
  }
}

TEST_F(UpdatesTest, TheOwnerDiesBetweenTheMarkAndTheCommit) {
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 8; }));
    DieOnceAt("after_code_switch");
    cluster.StartUpdate();
    ASSERT_TRUE(Until([&] { return cluster.deaths() == 1; }));
    ExpectRightEnd();
    EXPECT_EQ(cluster.oracle().code_marks(), 1u);
  }
}

// The mark of an owner of the past says what its heir's does, and is taken once.
TEST_F(UpdatesTest, AZombiesMarkStandsBehindItsHeirs) {
  size_t doubled = 0;
  options_.ledger.records = 1500;
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    options_.ledger.handler = Handler::kLua;  // its owner has read the verdicts: it marks at once
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 8; }));
    Cluster::Place* const owner = cluster.OwnerOf(0);
    ASSERT_NE(owner, nullptr);
    bool sent = false;
    AtFailpoint(
        "after_code_mark_sent", [owner](Process& process) { return &process == owner->process; },
        [&] { sent = true; });
    cluster.StartUpdate();
    owner->process->link.out_cut = true;
    ASSERT_TRUE(Until([&] { return sent; }));
    ASSERT_TRUE(Until([&] { return GreatestEpoch() == 2; }));
    ASSERT_TRUE(Until([&] { return Marks() >= 1; }));
    owner->process->link.out_cut = false;
    Pass(absl::Seconds(1));
    doubled += Marks() - 1;
    ExpectRightEnd();
    EXPECT_EQ(cluster.oracle().code_marks(), 1u);
  }
  EXPECT_GT(doubled, 0u) << "no zombie's mark got into the log: nothing was tried";
}

TEST_F(UpdatesTest, TwoUpdatesAtOnceAreOneAfterTheOther) {
  for (uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Cluster& cluster = Begin(seed);
    ASSERT_TRUE(Until([&] { return ResultMessages() >= 8; }));
    cluster.StartUpdate();
    cluster.StartUpdate();
    ASSERT_TRUE(Until([&] { return cluster.oracle().code_marks() == 2; }));
    ExpectRightEnd();
  }
}

}  // namespace
}  // namespace millrace::sim
