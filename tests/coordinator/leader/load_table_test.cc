#include "coordinator/leader/load_table.h"

#include "coordinator/leader/moves_under_way.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;

TEST(LoadTable, IsKnownAfterAnIntervalAndFollowsByHalves) {
  LoadTable loads;
  loads.Observe("u", 1, 1000, absl::Seconds(0));
  loads.Observe("u", 1, 2000, kLoadInterval / 2);
  EXPECT_THAT(loads.Of("u", 2), ElementsAre(-1, -1));
  loads.Observe("u", 1, 4000, kLoadInterval);
  EXPECT_THAT(loads.Of("u", 2), ElementsAre(-1, 100));
  loads.Observe("u", 1, 4000, 2 * kLoadInterval);
  EXPECT_THAT(loads.Of("u", 2), ElementsAre(-1, 50));
}

TEST(LoadTable, AnOwnerThatReplaysIsNotBusy) {
  LoadTable loads;
  loads.Observe("u", 0, 9000, absl::Seconds(0));
  loads.Observe("u", 0, 10, kLoadInterval);
  loads.Observe("u", 0, 310, 2 * kLoadInterval);
  EXPECT_THAT(loads.Of("u", 1), ElementsAre(10));
}

TEST(LoadTable, ForgetsJobsThatAreOver) {
  LoadTable loads;
  loads.Observe("u", 0, 0, absl::Seconds(0));
  loads.Observe("u", 0, 300, kLoadInterval);
  loads.Keep({"other"});
  EXPECT_THAT(loads.Of("u", 1), ElementsAre(-1));
}

PartitionReport Saying(const std::string& state) {
  PartitionReport report;
  report.state = state;
  return report;
}

TEST(MovesUnderWay, AMoveIsOverWhenTheNewOwnerRuns) {
  MovesUnderWay moves;
  moves.Order({{"u", {"w1", "w1", ""}}}, {{"u", {"w2", "w1", "w2"}}}, absl::Seconds(0));
  EXPECT_EQ(moves.count(), 1u);
  moves.Observe("u", 0, Saying("restoring"));
  EXPECT_EQ(moves.room(), kMaxMovesAtOnce - 1);
  moves.Observe("u", 0, Saying("running"));
  EXPECT_EQ(moves.count(), 0u);
}

TEST(MovesUnderWay, OneThatTakesTooLongHoldsUpNoOther) {
  MovesUnderWay moves;
  moves.Order({{"u", {"w1"}}}, {{"u", {"w2"}}}, absl::Seconds(0));
  moves.GiveUpOld(kMoveGivenUpAfter / 2);
  EXPECT_EQ(moves.count(), 1u);
  moves.GiveUpOld(kMoveGivenUpAfter);
  EXPECT_EQ(moves.count(), 0u);
}

TEST(MovesUnderWay, AJobThatIsGoneHasNone) {
  MovesUnderWay moves;
  moves.Order({{"u", {"w1"}}}, {{"u", {"w2"}}}, absl::Seconds(0));
  moves.Order({}, {{"v", {"w1"}}}, absl::Seconds(1));
  EXPECT_EQ(moves.count(), 0u);
}

}  // namespace
}  // namespace millrace
