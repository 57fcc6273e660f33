#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pipeline/aggregate_state.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Row {
  const char* name;
  const char* columns;
  std::vector<std::string> values;  // of field v, as JSON; "" for a record without it
  const char* expected;             // the last output's value
};
class AggregateTable : public ::testing::TestWithParam<Row> {};

TEST_P(AggregateTable, GivesTheRow) {
  PipelineRig rig(StrCat("stages:\n  - aggregate: { ", GetParam().columns, " }\n"));
  std::vector<Input> records;
  for (const std::string& value : GetParam().values) {
    records.push_back({"a", value.empty() ? "{\"other\":1}" : StrCat("{\"v\":", value, "}")});
  }
  ASSERT_TRUE(rig.Feed(records).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  ASSERT_FALSE(rig.sink.outputs.empty());
  EXPECT_EQ(rig.sink.outputs.back(), StrCat("a ", GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Functions, AggregateTable,
    ::testing::Values(
        Row{"Count", "n: count()", {"1", "", "null"}, R"({"n":3})"},
        Row{"SumOfIntegers", "s: sum(v)", {"1", "2", "-5"}, R"({"s":-2})"},
        Row{"SumOfNothingIsZero", "s: sum(v)", {"", "null"}, R"({"s":0})"},
        Row{"SumIsExactAtTheLimit",
            "s: sum(v)",
            {"9223372036854775806", "1"},
            R"({"s":9223372036854775807})"},
        Row{"SumOfUnsignedAndNegative",
            "s: sum(v)",
            {"-9223372036854775808", "18446744073709551615"},
            R"({"s":9223372036854775807})"},
        Row{"SumTurnsToDoubles", "s: sum(v)", {"1", "0.5", "1"}, R"({"s":2.5})"},
        Row{"AvgOfNothingIsNull", "m: avg(v)", {"", "null"}, R"({"m":null})"},
        Row{"AvgSkipsMissing", "m: avg(v)", {"1", "", "2"}, R"({"m":1.5})"},
        Row{"MinAndMax", "a: min(v), b: max(v)", {"3", "-7", "2.5"}, R"({"a":-7,"b":3})"},
        Row{"MinOfNothingIsNull", "a: min(v)", {""}, R"({"a":null})"},
        Row{"MaxIsExactBetweenIntegerAndDouble",
            "b: max(v)",
            {"9007199254740992.0", "9007199254740993"},
            R"({"b":9007199254740993})"},
        Row{"MinAndMaxOfStrings",
            "a: min(v), b: max(v)",
            {"\"m\"", "\"\"", "\"zz\""},
            R"({"a":"","b":"zz"})"},
        Row{"FirstAndLast",
            "f: first(v), l: last(v)",
            {"", "\"x\"", "[1,2]", "null"},
            R"({"f":"x","l":[1,2]})"},
        Row{"FirstKeepsItsFalse", "f: first(v)", {"false", "true"}, R"({"f":false})"},
        Row{"DistinctByValue", "d: distinct(v)", {"1", "1.0", "\"1\"", "2", "1", "null"}, R"({"d":3})"},
        Row{"AllTogether",
            "n: count(), f: first(v), lo: min(v), l: last(v), hi: max(v), d: distinct(v)",
            {"\"b\"", "\"a\"", "\"c\"", "\"a\""},
            R"({"n":4,"f":"b","lo":"a","l":"a","hi":"c","d":3})"}),
    [](const ::testing::TestParamInfo<Row>& row) { return row.param.name; });

TEST(Aggregate, OverflowIsTheRecordsErrorAndLeavesTheState) {
  PipelineRig rig("stages:\n  - aggregate: { n: count(), s: sum(v) }\n");
  ASSERT_TRUE(
      rig.Feed({{"a", R"({"v":9223372036854775807})"}, {"a", R"({"v":1})"}, {"a", R"({"v":-1})"}}).ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre("a {\"n\":1,\"s\":9223372036854775807}", "a {\"n\":2,\"s\":9223372036854775806}"));
  ASSERT_THAT(rig.sink.letters, ElementsAre(HasSubstr("overflow: sum(v)")));
  EXPECT_EQ(rig.progress().records_in, 3u);
  EXPECT_EQ(rig.progress().records_out, 2u);
  EXPECT_EQ(rig.progress().dead_letters, 1u);
}

TEST(Aggregate, AStringInASumIsNamed) {
  PipelineRig rig("stages:\n  - aggregate: { s: sum(delay) }\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"delay":"late"})"}}).ok());
  EXPECT_THAT(rig.sink.letters,
              ElementsAre(HasSubstr("sum(delay) needs a number, found the string \"late\"")));
}

TEST(Aggregate, NumbersAndStringsDoNotMixInMin) {
  PipelineRig rig("stages:\n  - aggregate: { a: min(v) }\n");
  ASSERT_TRUE(
      rig.Feed({{"a", R"({"v":1})"}, {"a", R"({"v":"x"})"}, {"b", R"({"v":"x"})"}, {"b", R"({"v":1})"}})
          .ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("min(v)"), HasSubstr("min(v)")));
}

TEST(Aggregate, PathsGoIntoObjectsInRowsAndPackedValues) {
  PipelineRig rig("stages:\n  - aggregate: { s: sum(a.b), t: sum(c) }\n");
  ASSERT_TRUE(rig.Feed({{"k", R"({"a":{"x":1,"b":5},"c":2})"}, {"k", R"({"c":3,"a":7})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("k {\"s\":5,\"t\":2}", "k {\"s\":5,\"t\":5}"));
}

TEST(Aggregate, DistinctIsBounded) {
  PipelineRig rig("stages:\n  - aggregate: { d: distinct(v) }\n    emit: final\n");
  std::vector<Input> records;
  for (int64_t i = 0; i <= kMaxDistinct; ++i) records.push_back({"a", StrCat("{\"v\":", i, "}")});
  records.push_back({"a", R"({"v":0})"});
  ASSERT_TRUE(rig.Feed(records).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("at most 10000")));
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"d\":10000}"));
}

TEST(Aggregate, ChangesEmitsOnlyWhatDiffers) {
  PipelineRig rig("stages:\n  - aggregate: { hi: max(v) }\n    emit: changes\n");
  ASSERT_TRUE(
      rig.Feed({{"a", R"({"v":1})"}, {"a", R"({"v":1})"}, {"a", R"({"v":2})"}, {"b", "{}"}, {"b", "{}"}})
          .ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"hi\":1}", "a {\"hi\":2}", "b {\"hi\":null}"));
}

TEST(Aggregate, FinalComesInByteOrderOfTheKeyWithRisingIndex) {
  PipelineRig rig("stages:\n  - aggregate: { n: count() }\n    emit: final\n");
  ASSERT_TRUE(rig.Feed({{"b", "{}"}, {"a", "{}"}, {"\xc3\xa9", "{}"}, {"B", "{}"}, {"a", "{}"}}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre("B {\"n\":1}", "a {\"n\":2}", "b {\"n\":1}", "\xc3\xa9 {\"n\":1}"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("2.0", "2.1", "2.2", "2.3"));
  EXPECT_TRUE(rig.progress().ended);
  EXPECT_EQ(rig.progress().watermark_ms, kEndOfTime);
}

TEST(Aggregate, EveryEmitsChangedKeysWhenLogTimePassesItsBoundary) {
  PipelineRig rig("stages:\n  - aggregate: { n: count() }\n    emit: every 10s\n");
  rig.broker_time_ms = 12'000;
  ASSERT_TRUE(rig.Feed({{"b", "{}"}, {"a", "{}"}}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), 20'000);
  rig.Restart();
  rig.broker_time_ms = 20'000;
  ASSERT_TRUE(rig.Feed({{"a", "{}"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}", "b {\"n\":1}"));
  EXPECT_THAT(rig.sink.times, ElementsAre(20'000, 20'000));
  rig.broker_time_ms = 45'000;
  ASSERT_TRUE(rig.FeedFrame(FrameOf({}, kNoTime, FrameKind::kTick)).ok());
  EXPECT_EQ(rig.sink.outputs.back(), "a {\"n\":2}");
  EXPECT_EQ(rig.sink.outputs.size(), 3u);
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
}

TEST(Aggregate, StateIsShownAsItsRow) {
  PipelineRig rig("stages:\n  - aggregate: { n: count(), l: last(v) }\n    emit: final\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":"x"})"}, {"ab", "{}"}, {"b", "{}"}}).ok());
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":1,"l":"x"})");
  EXPECT_TRUE(absl::IsNotFound(rig.pipeline().StateJson(rig.state(), "zz").status()));
  std::vector<std::string> keys;
  ASSERT_TRUE(rig.pipeline()
                  .ScanStateJson(rig.state(), {.prefix = "a", .most = 10},
                                 [&](std::string_view key, std::string) {
                                   keys.emplace_back(key);
                                   return true;
                                 })
                  .ok());
  EXPECT_THAT(keys, ElementsAre("a", "ab"));
}

TEST(AggregateLayout, ForeignStateIsDataLoss) {
  const AggregateLayout layout({{"s", AggregateFunction::kSum, "v"}});
  AggregateInput input;
  const AggregateInput* inputs[] = {&input};
  const uint8_t is_new[] = {0};
  std::string next;
  EXPECT_TRUE(absl::IsDataLoss(layout.Apply("short", inputs, is_new, &next)));
  EXPECT_TRUE(absl::IsDataLoss(layout.AppendRow("short", &next)));
}

}  // namespace
}  // namespace millrace
