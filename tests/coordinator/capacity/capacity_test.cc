#include "coordinator/capacity/capacity.h"

#include <limits>

#include "gtest/gtest.h"

namespace millrace {
namespace {

CapacityRequest Asking(double rate, absl::Duration time, uint32_t lanes, absl::Duration waiting = {}) {
  return {rate, time, waiting, lanes};
}

TEST(Capacity, LeavesThreeTenthsFree) {
  // 7 busy lanes fill 10 by seven tenths, which are 3 workers of 4.
  const auto plan = PlanCapacity(Asking(700'000, absl::Microseconds(10), 4));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_DOUBLE_EQ(plan->busy_lanes, 7);
  EXPECT_EQ(plan->lanes, 10u);
  EXPECT_EQ(plan->workers, 3u);
  EXPECT_EQ(plan->partitions, 12u);
  EXPECT_EQ(plan->concurrency, 10u);
}

TEST(Capacity, WaitingIsUnderWayAndKeepsNoLaneBusy) {
  const auto plan = PlanCapacity(Asking(1000, absl::Microseconds(100), 4, absl::Milliseconds(70)));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->workers, 1u);
  EXPECT_EQ(plan->concurrency, 101u);
}

TEST(Capacity, TheLeastIsOneWorker) {
  const auto plan = PlanCapacity(Asking(1, absl::Microseconds(1), 8));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->lanes, 1u);
  EXPECT_EQ(plan->workers, 1u);
}

TEST(Capacity, NothingAndTooMuchAreRefused) {
  for (const CapacityRequest& request :
       {Asking(0, absl::Seconds(1), 1), Asking(-1, absl::Seconds(1), 1), Asking(1, absl::ZeroDuration(), 1),
        Asking(1, absl::Seconds(1), 0), Asking(std::numeric_limits<double>::quiet_NaN(), absl::Seconds(1), 1),
        Asking(1e9, absl::Hours(1), 1), Asking(1, absl::InfiniteDuration(), 1),
        Asking(1e6, absl::Seconds(1), 1)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(PlanCapacity(request).status())) << request.records_per_second;
  }
}

}  // namespace
}  // namespace millrace
