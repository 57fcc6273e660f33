#include "coordinator/chaos/recoveries.h"

#include <gtest/gtest.h>

namespace millrace::chaos {
namespace {

constexpr absl::Duration At(int64_t seconds) { return absl::Seconds(seconds); }

TEST(Recoveries, ARecoveryIsWhenEverythingThatWasFedIsOut) {
  Recoveries recoveries(At(10));
  recoveries.Begin(7, {5, 3}, At(100));
  EXPECT_TRUE(recoveries.Look({5, 2}, false, At(101)).empty());
  const auto recovered = recoveries.Look({9, 3}, false, At(103));
  ASSERT_EQ(recovered.size(), 1u);
  EXPECT_EQ(recovered[0].number, 7);
  EXPECT_EQ(recovered[0].took, At(3));
  EXPECT_FALSE(recoveries.waiting());
}

TEST(Recoveries, OnePartitionThatStandsStillIsOverdueBehindTheBound) {
  Recoveries recoveries(At(10));
  recoveries.Begin(1, {5, 3}, At(0));
  recoveries.Look({50, 2}, false, At(10));
  EXPECT_FALSE(recoveries.overdue());
  recoveries.Look({60, 2}, false, At(11));
  EXPECT_TRUE(recoveries.overdue());
}

TEST(Recoveries, TimeInWhichAnotherFaultIsUnderWayDoesNotCount) {
  Recoveries recoveries(At(10));
  recoveries.Begin(1, {5}, At(0));
  recoveries.Look({0}, true, At(60));
  EXPECT_FALSE(recoveries.overdue());
  const auto recovered = recoveries.Look({5}, false, At(62));
  ASSERT_EQ(recovered.size(), 1u);
  EXPECT_EQ(recovered[0].took, At(2));
}

TEST(Recoveries, SeveralWaitEachByItself) {
  Recoveries recoveries(At(10));
  recoveries.Begin(1, {5}, At(0));
  recoveries.Look({4}, false, At(2));
  recoveries.Begin(2, {8}, At(2));
  const auto first = recoveries.Look({6}, false, At(3));
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].number, 1);
  EXPECT_TRUE(recoveries.waiting());
}

}  // namespace
}  // namespace millrace::chaos
