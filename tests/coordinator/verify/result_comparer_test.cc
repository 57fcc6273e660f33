#include "coordinator/verify/result_comparer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/value/value.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RecordView MakeResult(uint64_t offset, uint32_t index, std::string_view key, std::string_view value) {
  RecordView record;
  record.key = key;
  record.value = value;
  record.offset = Offset(offset);
  record.index = index;
  return record;
}

class ResultComparerTest : public testing::Test {
 protected:
  // What should be: 1.0 a=1, 1.1 a=2, 2.0 b=3.
  ResultComparerTest() {
    comparer_.Expect(MakeResult(1, 0, "a", "1"));
    comparer_.Expect(MakeResult(1, 1, "a", "2"));
    comparer_.Expect(MakeResult(2, 0, "b", "3"));
  }

  Differences differences_;
  ResultComparer comparer_{PartitionId(5), &differences_};
};

TEST_F(ResultComparerTest, FindsNothingWhereAllIsAsItShould) {
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(1, 1, "a", "2"));
  comparer_.Find(MakeResult(2, 0, "b", "3"));
  comparer_.Finish(Offset(2));
  EXPECT_THAT(differences_.kept(), IsEmpty());
  EXPECT_EQ(comparer_.compared(), 3u);
}

TEST_F(ResultComparerTest, CatchesAChangedValue) {
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(1, 1, "a", "9"));
  comparer_.Find(MakeResult(2, 0, "b", "3"));
  comparer_.Finish(Offset(2));
  EXPECT_THAT(differences_.kept(),
              ElementsAre(R"(partition 5, result 1.1 of key `a` has "value":"9", should have "value":"2")"));
}

TEST_F(ResultComparerTest, CatchesAMissingLabel) {
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(2, 0, "b", "3"));
  comparer_.Finish(Offset(2));
  EXPECT_THAT(differences_.kept(), ElementsAre("partition 5, result 1.1 is missing"));
}

TEST_F(ResultComparerTest, CatchesADoubledLabel) {
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(1, 1, "a", "2"));
  comparer_.Find(MakeResult(2, 0, "b", "3"));
  comparer_.Finish(Offset(2));
  EXPECT_THAT(differences_.kept(), ElementsAre("partition 5, result 1.0 is there twice"));
}

TEST_F(ResultComparerTest, CatchesASwappedPair) {
  comparer_.Find(MakeResult(1, 1, "a", "2"));
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(2, 0, "b", "3"));
  comparer_.Finish(Offset(2));
  EXPECT_THAT(differences_.kept(), ElementsAre("partition 5, result 1.0 is missing",
                                               HasSubstr("result 1.0 comes after a later one")));
}

TEST_F(ResultComparerTest, CatchesAResultThatShouldNotBe) {
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(1, 1, "a", "2"));
  comparer_.Find(MakeResult(1, 2, "a", "x"));
  comparer_.Find(MakeResult(2, 0, "b", "3"));
  comparer_.Finish(Offset(2));
  EXPECT_THAT(differences_.kept(), ElementsAre(HasSubstr("result 1.2 should not be")));
}

TEST_F(ResultComparerTest, CatchesAnotherTime) {
  RecordView late = MakeResult(1, 0, "a", "1");
  late.time_ms = 7;
  comparer_.Find(late);
  EXPECT_THAT(differences_.kept(), ElementsAre(HasSubstr("has time 7 ms")));
}

TEST_F(ResultComparerTest, WhatARunningJobHasNotCommittedMayBeOnTheWay) {
  comparer_.Find(MakeResult(1, 0, "a", "1"));
  comparer_.Find(MakeResult(1, 1, "a", "2"));
  comparer_.Finish(Offset(1));
  EXPECT_THAT(differences_.kept(), IsEmpty());
  EXPECT_EQ(comparer_.on_the_way(), 1u);
}

TEST(DifferencesTest, KeepsTheFirstAndCountsAll) {
  Differences differences;
  for (int i = 0; i < 25; ++i) differences.Add("x");
  EXPECT_EQ(differences.kept().size(), Differences::kMaxKept);
  EXPECT_EQ(differences.count(), 25u);
}

TEST_F(ResultComparerTest, CutsALongValueBetweenTwoCharacters) {
  std::string value(180, 'x');
  for (int i = 0; i < 20; ++i) value += "\u20ac";
  comparer_.Find(MakeResult(1, 0, "a", value));
  ASSERT_EQ(differences_.kept().size(), 1u);
  EXPECT_TRUE(IsValidUtf8(differences_.kept().front()));
}

}  // namespace
}  // namespace millrace
