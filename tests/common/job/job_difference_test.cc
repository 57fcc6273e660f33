#include "common/job/job_difference.h"

#include <gtest/gtest.h>

#include "common/job/job_parser.h"

namespace millrace {
namespace {

constexpr std::string_view kJob = R"(name: delays
key: origin
stages:
  - filter: r.delay > 0
  - aggregate: { n: count(), total: sum(delay) }
)";

std::string Difference(const std::vector<std::string>& sets) {
  const auto before = ParseJob("a.yaml", kJob), after = ParseJob("b.yaml", kJob, sets);
  EXPECT_TRUE(before.ok() && after.ok()) << before.status() << after.status();
  return DescribeDifference(*before, *after);
}

TEST(JobDifference, IsEmptyForFilesThatDoTheSame) {
  const auto before = ParseJob("a.yaml", kJob);
  const auto after = ParseJob("b.yaml", R"(# the same, said otherwise
stages:
  - { filter: 'r.delay > 0', name: filter-0, timeout: 2000ms }
  - aggregate: { n: count( ), total: sum( delay ) }
    emit: each
partitions: 16
sink: results
key: 'origin'
name: delays
tests: [ { name: none, input: [], expect: [] } ]
)");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(DescribeDifference(*before, *after), "");
}

TEST(JobDifference, NamesTheFieldAndBothValues) {
  EXPECT_EQ(Difference({"partitions=4"}), "`partitions` was `16`, is `4`");
  EXPECT_EQ(Difference({"key=[origin, destination]"}), "`key` was `origin`, is `[origin, destination]`");
  EXPECT_EQ(Difference({"source.format=csv"}), "`source.format` was `jsonl`, is `csv`");
  EXPECT_EQ(Difference({"time.field=date"}), "`time.field` was `none`, is `date`");
  EXPECT_EQ(Difference({"stages.0.filter=r.delay > 9"}),
            "`stages.0.filter` was `r.delay > 0`, is `r.delay > 9`");
  EXPECT_EQ(Difference({"stages.0={map: r}"}), "`stages.0.filter` was `r.delay > 0`, is not there");
  EXPECT_EQ(Difference({"stages.0.on_error=retry"}),
            "`stages.0.on_error` was `the job's`, is `retry, 3 attempts, 100ms..10s`");
  EXPECT_EQ(Difference({"stages.1.aggregate.total=max(delay)"}),
            "`stages.1.aggregate.total` was `sum(delay)`, is `max(delay)`");
  EXPECT_EQ(Difference({"stages.1.aggregate.worst=max(delay)"}),
            "`stages.1.aggregate` was `{n, total}`, is `{n, total, worst}`");
  EXPECT_EQ(Difference({"stages.1.emit=every 5s"}), "`stages.1.emit` was `each`, is `every 5s`");
  EXPECT_EQ(Difference({"commit.interval=2s"}), "`commit.interval` was `1s`, is `2s`");
  EXPECT_EQ(Difference({"sink=none"}), "`sink` was `results`, is `none`");
  EXPECT_EQ(Difference({"retain=results"}), "`retain` was `all`, is `results`");
  EXPECT_EQ(Difference({"standby=1"}), "`standby` was `0`, is `1`");
}

}  // namespace
}  // namespace millrace
