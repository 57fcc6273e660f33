// `concurrency`, `ordered` and `balance` in job files. What is refused: wrong_job_files.md.
#include "common/job/branches.h"
#include "common/job/job_parser.h"
#include "common/strings.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

JobSpec JobOf(const std::string& stages) {
  absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", "name: j\nkey: k\nstages:\n" + stages);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? *std::move(spec) : JobSpec();
}

TEST(Concurrency, IsTheStagesOwn) {
  const JobSpec job = JobOf(
      "  - map: r\n    concurrency: 8\n    ordered: none\n"
      "  - filter: 'true'\n    concurrency: 1\n"
      "  - keyed: { lua: 'state.n = 1' }\n    ordered: partition\n");
  ASSERT_EQ(job.stages.size(), 3U);
  EXPECT_EQ(job.stages[0].code.concurrency, 8U);
  EXPECT_EQ(job.stages[0].code.ordered, CallOrder::kNone);
  EXPECT_TRUE(RunsInThreads(job.stages[0]));
  EXPECT_EQ(job.stages[1].code.concurrency, 1U);
  EXPECT_FALSE(RunsInThreads(job.stages[1]));
  EXPECT_EQ(job.stages[2].code.concurrency, 0U);
  EXPECT_EQ(job.stages[2].code.ordered, CallOrder::kPartition);
}

TEST(Concurrency, OfHandlersIsNoMatterOfThreads) {
  const JobSpec job = JobOf("  - keyed: { remote: 'tcp://127.0.0.1:7001' }\n    concurrency: 4\n");
  EXPECT_EQ(job.stages[0].code.concurrency, 4U);
  EXPECT_FALSE(RunsInThreads(job.stages[0]));
}

TEST(Concurrency, OfABalanceIsThatOfItsStagesWhichSayNothing) {
  const JobSpec job = JobOf(
      "  - map: r\n"
      "  - balance: 4\n"
      "    stages:\n"
      "      - map: r\n"
      "      - filter: 'true'\n"
      "        concurrency: 2\n"
      "      - partition: [ { stages: [ { flat_map: '{r}' } ] } ]\n"
      "      - aggregate: { n: count() }\n"
      "  - map: r\n");
  std::vector<std::string> seen;
  for (const StageSpec* const stage : AllStages(job.stages)) {
    seen.push_back(StrCat(stage->code.name, " ", stage->code.concurrency));
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"map-0 0", "map-1-0 4", "filter-1-1 2", "partition-1-2 0",
                                            "flat_map-1-2-0-0 4", "aggregate-1-3 0", "map-2 0"}));
}

}  // namespace
}  // namespace millrace
