#include "worker/partition/bucket_pacer.h"

#include "common/strings.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TokenRule TwoThenOneASecond() {
  RateLimitStage limit;
  limit.burst = 2;
  return RuleOf(limit, 1);
}

class BucketPacerTest : public testing::Test {
 protected:
  absl::Duration Take(std::string_view key, const std::string& stage = "calm") {
    return pacer_.Take(stage, key, TwoThenOneASecond());
  }
  ManualClock clock_;
  BucketPacer pacer_{clock_, /*max_buckets=*/4};
};

TEST_F(BucketPacerTest, GivesTheBurstAndThenSaysHowLongToWait) {
  EXPECT_EQ(Take("a"), absl::ZeroDuration());
  EXPECT_EQ(Take("a"), absl::ZeroDuration());
  EXPECT_EQ(Take("a"), absl::Seconds(1));
  clock_.Advance(absl::Milliseconds(400));
  EXPECT_EQ(Take("a"), absl::Milliseconds(600));
  clock_.Advance(absl::Milliseconds(600));
  EXPECT_EQ(Take("a"), absl::ZeroDuration());
  EXPECT_EQ(Take("a"), absl::Seconds(1));
}

TEST_F(BucketPacerTest, EachStageAndKeyHasItsOwn) {
  for (int i = 0; i < 3; ++i) Take("a");
  EXPECT_EQ(Take("b"), absl::ZeroDuration());
  EXPECT_EQ(Take("a", "other"), absl::ZeroDuration());
  EXPECT_GT(Take("a"), absl::ZeroDuration());
}

TEST_F(BucketPacerTest, ForgetsBucketsThatAreFullAndThenThoseThatAreNearest) {
  for (const char* key : {"a", "b", "c", "d"}) Take(key);
  Take("d");  // the emptiest
  EXPECT_EQ(pacer_.size(), 4u);
  Take("e");
  EXPECT_LE(pacer_.size(), 4u);
  EXPECT_GT(Take("d"), absl::ZeroDuration());
  for (int i = 0; i < 1000; ++i) {
    Take(StrCat("key", i));
    clock_.Advance(absl::Milliseconds(10));
    ASSERT_LE(pacer_.size(), 4u);
  }
}

}  // namespace
}  // namespace millrace
