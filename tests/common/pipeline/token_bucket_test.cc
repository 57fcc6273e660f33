#include "common/pipeline/token_bucket.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

RateLimitStage Limit(int64_t count, absl::Duration period, int64_t burst,
                     RateLimitStage::Per per = RateLimitStage::Per::kKey) {
  RateLimitStage limit;
  limit.count = count;
  limit.period = period;
  limit.burst = burst;
  limit.per = per;
  return limit;
}

// How many records pass in `ms` when one is offered each millisecond to a bucket that was full at 0.
int64_t PassedIn(const TokenRule& rule, int64_t ms) {
  TokenLevel level{rule.capacity, 0};
  int64_t passed = 0;
  for (int64_t now_ms = 0; now_ms < ms; ++now_ms) {
    const int64_t units = UnitsAt(rule, level, now_ms);
    if (units < rule.cost) continue;
    level = {units - rule.cost, now_ms};
    ++passed;
  }
  return passed;
}

TEST(TokenBucket, LetsPassTheBurstAndThenTheRateExactly) {
  struct Case {
    RateLimitStage limit;
    uint32_t partitions;
    int64_t ms, passed;
  };
  const Case cases[] = {
      {Limit(100, absl::Seconds(1), 200), 1, 10'001, 200 + 1000},
      {Limit(3, absl::Seconds(1), 2), 1, 3'000'001, 2 + 9000},  // a third of a second is no number of ms
      {Limit(7, absl::Minutes(1), 2), 1, 3'600'001, 2 + 420},
      {Limit(7, absl::Hours(1), 5), 1, 36'000'001, 5 + 70},
      {Limit(100, absl::Seconds(1), 200, RateLimitStage::Per::kStage), 4, 10'001, 50 + 250},
      {Limit(100, absl::Seconds(1), 200, RateLimitStage::Per::kKey), 4, 10'001, 200 + 1000},
      {Limit(8, absl::Seconds(1), 2, RateLimitStage::Per::kStage), 16, 10'001, 1 + 5},  // room for one
  };
  for (const Case& c : cases)
    EXPECT_EQ(PassedIn(RuleOf(c.limit, c.partitions), c.ms), c.passed) << RateText(c.limit);
}

TEST(TokenBucket, SaysHowLongItTakes) {
  const TokenRule rule = RuleOf(Limit(3, absl::Seconds(1), 2), 1);
  EXPECT_EQ(MsUntil(rule, 0, rule.cost), 334);
  EXPECT_EQ(MsUntil(rule, rule.cost, rule.cost), 0);
  EXPECT_EQ(MsUntil(rule, 0, rule.capacity), 667);
  EXPECT_LT(UnitsAt(rule, {0, 1000}, 1333), rule.cost);
  EXPECT_GE(UnitsAt(rule, {0, 1000}, 1334), rule.cost);
}

TEST(TokenBucket, NeverOverflows) {
  const TokenRule fast = RuleOf(Limit(kMaxRate, absl::Seconds(1), kMaxRate), 1);
  EXPECT_EQ(UnitsAt(fast, {0, 0}, INT64_MAX / 2), fast.capacity);
  EXPECT_GT(fast.capacity, 0);
  const TokenRule slow =
      RuleOf(Limit(1, absl::Hours(1), kMaxRate, RateLimitStage::Per::kStage), kMaxPartitions);
  EXPECT_EQ(UnitsAt(slow, {0, 0}, INT64_MAX / 2), slow.capacity);
  EXPECT_EQ(MsUntil(slow, 0, slow.capacity), slow.capacity);
}

TEST(TokenBucket, ALevelKeepsItsMeaningUnderAnotherRate) {
  const TokenRule before = RuleOf(Limit(100, absl::Seconds(1), 100), 1);
  const TokenRule after = RuleOf(Limit(1, absl::Hours(1), 10), 1);
  EXPECT_EQ(UnitsAt(after, {7 * before.cost, 1000}, 1000), 7 * after.cost);
  EXPECT_EQ(UnitsAt(after, {70 * before.cost, 1000}, 1000), 10 * after.cost);
}

}  // namespace
}  // namespace millrace
