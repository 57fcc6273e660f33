#include "coordinator/leader/job_lifecycle.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

PartitionReport In(const std::string& state) {
  PartitionReport report;
  report.state = state;
  report.reason = "why";
  report.records_in = 3;
  return report;
}

struct Row {
  const char* situation;
  std::vector<std::string> verbs;
  std::vector<std::string> states;  // empty: nobody reports
  bool paused;
  const char* final_state;  // empty: the job goes on
};

TEST(JobLifecycle, FollowsTheTable) {
  const Row rows[] = {
      {"nobody reports yet", {}, {"", ""}, false, ""},
      {"all run", {}, {"running", "running"}, false, ""},
      {"one is not done", {}, {"completed", "running"}, false, ""},
      {"the owner of one is lost", {}, {"completed", ""}, false, ""},
      {"all done", {}, {"completed", "completed"}, false, "completed"},
      {"all done while paused", {"pause"}, {"completed", "completed"}, true, "completed"},
      {"a partition stopped loudly", {}, {"stopped", "completed"}, false, ""},
      {"one failed, the others are done", {}, {"completed", "failed"}, false, "failed"},
      {"paused", {"pause"}, {"paused", "paused"}, true, ""},
      {"paused twice, resumed once", {"pause", "pause", "resume"}, {"running", "running"}, false, ""},
      {"resumed, then paused", {"resume", "pause"}, {"running", "running"}, true, ""},
      {"cancelled", {"cancel"}, {"running", "running"}, false, "cancelled"},
      {"cancelled, when nobody reports", {"cancel"}, {"", ""}, false, "cancelled"},
      {"cancelled, then resumed", {"pause", "cancel", "resume"}, {"running", ""}, true, "cancelled"},
      {"cancelled when done", {"cancel"}, {"completed", "completed"}, false, "cancelled"},
      {"a verb of a newer version", {"hibernate"}, {"running", "running"}, false, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.situation);
    std::vector<PartitionReport> reports;
    for (const std::string& state : row.states) reports.push_back(In(state));
    JobFacts facts;
    facts.verbs = row.verbs;
    for (const PartitionReport& report : reports) {
      facts.reports.push_back(report.state.empty() ? nullptr : &report);
    }
    const JobDecision decision = Next(facts);
    EXPECT_EQ(decision.paused, row.paused);
    EXPECT_EQ(decision.final.has_value() ? decision.final->state : "", row.final_state);
  }
}

TEST(JobLifecycle, SumsWhatThePartitionsSaid) {
  PartitionReport done = In("completed");
  done.skipped = 2;
  done.inspected = {{"big", 5}};
  const FinalStatus final = *Next({{}, {&done, &done}}).final;
  EXPECT_EQ(final.records_in, 6u);
  EXPECT_EQ(final.skipped, 4u);
  ASSERT_EQ(final.inspected.size(), 1u);
  EXPECT_EQ(final.inspected[0].records, 10u);
}

TEST(JobLifecycle, KeepsTheLastReportsWhereTheyFitIntoAMessage) {
  const PartitionReport done = In("completed");
  std::vector<const PartitionReport*> reports(kMaxFinalReports, &done);
  EXPECT_EQ(Next({{}, reports}).final->partitions.size(), kMaxFinalReports);
  EXPECT_LT(Encode(*Next({{}, reports}).final).size(), size_t{1} << 20);
  reports.push_back(&done);
  EXPECT_THAT(Next({{}, reports}).final->partitions, testing::IsEmpty());
}

TEST(JobLifecycle, NamesThePartitionThatFailed) {
  PartitionReport failed = In("failed");
  failed.partition = 7;
  EXPECT_EQ(Next({{}, {&failed}}).final->reason, "partition 7: why");
  failed.segment = 1;
  EXPECT_EQ(Next({{}, {&failed}}).final->reason, "partition 1-7: why");
}

}  // namespace
}  // namespace millrace
