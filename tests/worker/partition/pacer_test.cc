#include "worker/partition/pacer.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

TEST(Pacer, IsDueAfterTheIntervalWhileItCostsLittle) {
  Pacer pacer(/*share=*/10, absl::Seconds(60), absl::Seconds(5));
  pacer.SetCost(absl::Milliseconds(50));
  EXPECT_FALSE(pacer.IsDue(absl::Seconds(6) - absl::Nanoseconds(1), kInterval, 1));
  EXPECT_TRUE(pacer.IsDue(absl::Seconds(6), kInterval, 1));
}

TEST(Pacer, StretchesTheIntervalByTheWholeCostOfAllThatShare) {
  Pacer pacer(/*share=*/10, absl::Seconds(60), absl::ZeroDuration());
  pacer.SetCost(absl::Milliseconds(100));
  pacer.AddCost(absl::Milliseconds(200));
  EXPECT_FALSE(pacer.IsDue(absl::Milliseconds(11'999), kInterval, 4));
  EXPECT_TRUE(pacer.IsDue(absl::Seconds(12), kInterval, 4));
  pacer.Begin(absl::Seconds(12));
  EXPECT_FALSE(pacer.IsDue(absl::Seconds(13), kInterval, 4));
}

TEST(Pacer, StretchesItToItsBoundOnly) {
  Pacer pacer(/*share=*/10, absl::Seconds(60), absl::ZeroDuration());
  pacer.SetCost(absl::Minutes(1));
  EXPECT_TRUE(pacer.IsDue(absl::Seconds(60), kInterval, 1));
  EXPECT_FALSE(pacer.IsDue(absl::Seconds(60), absl::Minutes(2), 1)) << "what the user asked for is never cut";
}

}  // namespace
}  // namespace millrace
