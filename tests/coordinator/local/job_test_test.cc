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
