#include "coordinator/verify/crossing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kDownstreams = 2;

// Outputs of one partition, numbered: each of a key of its own.
class CrossingTest : public ::testing::Test {
 protected:
  void Find(uint64_t number, const std::string& value = "v") {
    const std::string key = StrCat("k", number);
    crossing_.Find(PartitionId(0), PartitionOf(key, kDownstreams), Record(number, key, value));
  }
  void Expect(uint64_t number) {
    const std::string key = StrCat("k", number);
    crossing_.Expect(PartitionId(0), Record(number, key, "v"));
  }
  static RecordView Record(uint64_t number, const std::string& key, const std::string& value) {
    RecordView record;
    record.key = key;
    record.value = value;
    record.offset = Offset(number);
    return record;
  }

  Differences differences_;
  Crossing crossing_{SegmentId(0), 1, kDownstreams, &differences_};
};

TEST_F(CrossingTest, WhatWasTakenIsWhatWasSent) {
  for (uint64_t n = 1; n <= 500; ++n) Find(n);
  for (uint64_t n = 1; n <= 500; ++n) Expect(n);
  crossing_.Finish(PartitionId(0), Offset(500));
  EXPECT_EQ(differences_.count(), 0u);
  EXPECT_EQ(crossing_.compared(), 500u);
  EXPECT_EQ(crossing_.on_the_way(), 0u);
}

TEST_F(CrossingTest, AnotherValueIsToldWithWhereItIs) {
  for (uint64_t n = 1; n <= 500; ++n) Find(n, n == 300 ? "other" : "v");
  for (uint64_t n = 1; n <= 500; ++n) Expect(n);
  crossing_.Finish(PartitionId(0), Offset(500));
  EXPECT_EQ(differences_.count(), 1u);
  EXPECT_THAT(differences_.kept()[0], HasSubstr("what partition 0 sent to 1-"));
  EXPECT_THAT(differences_.kept()[0], HasSubstr("differs behind output "));
}

TEST_F(CrossingTest, ALossInTheMiddleIsADifference) {
  for (uint64_t n = 1; n <= 500; ++n) {
    if (n != 300) Find(n);
  }
  for (uint64_t n = 1; n <= 500; ++n) Expect(n);
  crossing_.Finish(PartitionId(0), Offset(500));
  EXPECT_GE(differences_.count(), 1u);
}

TEST_F(CrossingTest, MoreThanWasSentIsADifference) {
  for (uint64_t n = 1; n <= 11; ++n) Find(n);
  for (uint64_t n = 1; n <= 10; ++n) Expect(n);
  crossing_.Finish(PartitionId(0), Offset(10));
  EXPECT_GE(differences_.count(), 1u);
}

TEST_F(CrossingTest, WhatIsNotThereIsMissingOrOnItsWay) {
  for (uint64_t n = 1; n <= 8; ++n) Find(n);
  for (uint64_t n = 1; n <= 10; ++n) Expect(n);
  crossing_.Finish(PartitionId(0), Offset(9));
  EXPECT_EQ(crossing_.on_the_way(), 2u);
  ASSERT_EQ(differences_.count(), 1u);
  EXPECT_THAT(differences_.kept()[0], HasSubstr("lacks output 9.0"));
}

TEST_F(CrossingTest, WhatWasHandedOverBeforeTheBeginningsIsNotCompared) {
  for (uint32_t d = 0; d < kDownstreams; ++d) crossing_.BeginAt(PartitionId(0), PartitionId(d), Mark{100, 0});
  for (uint64_t n = 90; n <= 500; ++n) Find(n, n < 100 ? "other" : "v");
  for (uint64_t n = 60; n <= 500; ++n) Expect(n);
  crossing_.Finish(PartitionId(0), Offset(500));
  EXPECT_EQ(differences_.count(), 0u);
  EXPECT_EQ(crossing_.compared(), 401u);
}

}  // namespace
}  // namespace millrace
