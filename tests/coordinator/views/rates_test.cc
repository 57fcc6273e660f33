#include "coordinator/views/rates.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(RatesTest, OneLookIsNoRate) {
  Rates rates;
  EXPECT_EQ(rates.PerSecond("in"), std::nullopt);
  rates.Note(absl::Seconds(1), "in", 100);
  EXPECT_EQ(rates.PerSecond("in"), std::nullopt);
}

TEST(RatesTest, IsTheRiseOverTheTimeBetween) {
  Rates rates;
  rates.Note(absl::Seconds(1), "in", 100);
  rates.Note(absl::Milliseconds(1500), "in", 150);
  EXPECT_EQ(rates.PerSecond("in"), 100);
}

// What came steadily long ago says nothing of now.
TEST(RatesTest, ForgetsWhatIsOlderThanItsWindow) {
  Rates rates;
  rates.Note(absl::ZeroDuration(), "in", 0);
  rates.Note(absl::Seconds(5), "in", 5000);
  for (int second = 6; second <= 20; ++second) rates.Note(absl::Seconds(second), "in", 5000);
  EXPECT_EQ(rates.PerSecond("in"), 0);
}

TEST(RatesTest, ACounterThatFellBeginsAnew) {
  Rates rates;
  rates.Note(absl::Seconds(1), "in", 100);
  rates.Note(absl::Seconds(2), "in", 7);
  EXPECT_EQ(rates.PerSecond("in"), std::nullopt);
  rates.Note(absl::Seconds(4), "in", 9);
  EXPECT_EQ(rates.PerSecond("in"), 1);
}

TEST(RatesTest, LooksInQuickSuccessionAreBounded) {
  Rates rates;
  for (int ms = 0; ms < 10'000; ++ms) rates.Note(absl::Milliseconds(ms), "in", static_cast<uint64_t>(ms));
  EXPECT_DOUBLE_EQ(*rates.PerSecond("in"), 1000);
}

}  // namespace
}  // namespace millrace
