#include "coordinator/local/job_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/job/job_parser.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr char kCounts[] = R"(
name: counts
key: k
stages:
  - aggregate: { n: count(), total: sum(v) }
    emit: each
)";

JobTestOutcome RunCounts(std::vector<std::string> input, std::vector<std::string> expect,
                         std::vector<std::string> dead_letters = {}) {
  const auto spec = ParseJob("counts.yaml", kCounts);
  EXPECT_TRUE(spec.ok()) << spec.status();
  TestSpec test;
  test.name = "t";
  test.input = std::move(input);
  test.expect = std::move(expect);
  test.dead_letters = std::move(dead_letters);
  const auto outcome = RunJobTest(*spec, test);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return *outcome;
}

TEST(RunJobTestTest, PassesWhenEachKeysResultsComeInTheirOrder) {
  const JobTestOutcome outcome =
      RunCounts({R"({"k":"a","v":1})", R"({"k":"b","v":5})", R"({"k":"a","v":2})"},
                {R"({"key":"a","value":{"n":1,"total":1}})", R"({"key":"a","value":{"total":3,"n":2}})",
                 R"({"key":"b","value":{"n":1,"total":5}})"});
  EXPECT_TRUE(outcome.passed) << outcome.report;
}

TEST(RunJobTestTest, ShowsWhereAValueDiffers) {
  const JobTestOutcome outcome =
      RunCounts({R"({"k":"a","v":1})"}, {R"({"key":"a","value":{"n":1,"total":9}})"});
  EXPECT_FALSE(outcome.passed);
  EXPECT_EQ(outcome.report,
            "  key \"a\"\n"
            "    expected          | got\n"
            "  ! {\"n\":1,\"total\":9} | {\"n\":1,\"total\":1}\n");
}

TEST(RunJobTestTest, ShowsDeadLettersThatDidNotComeAndThoseThatCameUnexpected) {
  EXPECT_THAT(
      RunCounts({R"({"k":"a","v":1})"}, {R"({"key":"a","value":{"n":1,"total":1}})"}, {"no key"}).report,
      HasSubstr("- dead letter did not come: no key"));
  EXPECT_THAT(RunCounts({"not json"}, {}).report, HasSubstr("+ dead letter not expected: "));
}

TEST(RunJobTestTest, AWindowHoldsEventTimeBackForTheSegmentBehindIt) {
  const auto spec = ParseJob("windows.yaml", R"(
name: windows
key: k
time: { field: t }
stages:
  - window: { tumbling: 10s, lateness: 5s, aggregate: { n: count(), g: last(g) } }
  - key_by: g
  - window: { tumbling: 20s, aggregate: { n: sum(n) } }
)");
  ASSERT_TRUE(spec.ok()) << spec.status();
  TestSpec test;
  test.name = "t";
  test.input = {
      R"({"k":"a","g":"x","t":"1970-01-01T00:00:01Z"})", R"({"k":"b","g":"x","t":"1970-01-01T00:00:24Z"})",
      R"({"k":"c","g":"x","t":"1970-01-01T00:00:19Z"})", R"({"k":"a","g":"x","t":"1970-01-01T00:01:40Z"})"};
  test.expect = {R"({"key":"x","value":{"n":2,"window_start":0,"window_end":20000}})",
                 R"({"key":"x","value":{"n":1,"window_start":20000,"window_end":40000}})",
                 R"({"key":"x","value":{"n":1,"window_start":100000,"window_end":120000}})"};
  const auto outcome = RunJobTest(*spec, test);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->passed) << outcome->report;
}

TEST(AlignedDiffTest, AlignsWhatIsTheSameAroundWhatIsNot) {
  EXPECT_EQ(AlignedDiff({"a", "b", "c"}, {"a", "c", "d"}),
            "    expected | got\n"
            "  = a        | a\n"
            "  - b        |\n"
            "  = c        | c\n"
            "  +          | d\n");
}

}  // namespace
}  // namespace millrace
