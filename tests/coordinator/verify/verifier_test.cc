#include "coordinator/verify/verifier.h"

#include "gmock/gmock.h"
#include "tests/coordinator/verify/verifier_fixture.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(VerifierTest, FindsNothingWhereTheResultsFollowFromTheInput) {
  Feed({1, 2, 3});
  Own(1);
  Complete();
  const VerifyReport report = Verify();
  EXPECT_THAT(report.differences.kept(), IsEmpty());
  EXPECT_EQ(report.results, 3u);
  EXPECT_EQ(report.records, 3u);
  EXPECT_EQ(report.messages, 3u);
  EXPECT_EQ(report.keys, 1u);
}

TEST_F(VerifierTest, AResultThatIsMissingOfACompletedJobIsADifference) {
  Feed({1, 2, 3});
  Own(1, 2);
  Complete();
  EXPECT_EQ(Verify().differences.count(), 1u);
}

TEST_F(VerifierTest, OfAJobThatRunsItIsOnTheWay) {
  Feed({1, 2, 3});
  Own(1, 2);
  const VerifyReport report = Verify();
  EXPECT_THAT(report.differences.kept(), IsEmpty());
  EXPECT_EQ(report.results_on_the_way, 1u);
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("0 of 1")));
}

TEST_F(VerifierTest, AResultWithAnotherValueIsADifference) {
  Feed({1, 2, 3});
  GatheringSink sink = Run();
  sink.values[1] = sink.values[2];
  AppendResultMark(FrameKind::kEpoch, 1, {});
  AppendResults(sink, 3, 1);
  AppendResultMark(FrameKind::kEnd, 1, Mark::AfterFrame(replay_->offset()));
  Complete();
  EXPECT_EQ(Verify().differences.count(), 1u);
}

TEST_F(VerifierTest, ResultsOfAnEpochThatNobodyClaimedAreADifference) {
  Feed({1});
  Own(2);
  Complete();
  EXPECT_THAT(Verify().differences.kept(), ElementsAre(HasSubstr("nobody has claimed")));
  ClaimEpoch(2);
  EXPECT_THAT(Verify().differences.kept(), IsEmpty());
}

TEST_F(VerifierTest, DeadLettersAreTheReplaysNoMoreAndNoLess) {
  Feed({1, -1, 2});
  Own(1);
  Complete();
  EXPECT_THAT(Verify().differences.kept(), ElementsAre("dead letter 0.0.2.1 is missing"));
  AppendLetter("0.0.2.1");
  EXPECT_THAT(Verify().differences.kept(), IsEmpty());
  AppendLetter("0.0.2.0");
  EXPECT_THAT(Verify().differences.kept(), ElementsAre(HasSubstr("0.0.2.0 should not be")));
}

TEST_F(VerifierTest, DeadLettersThatWereDeletedSinglyDoNotHoldItUp) {
  Feed({1, -1, 2});
  Own(1);
  Complete();
  for (const char* id : {"in.1", "0.0.2.1", "in.2"}) AppendLetter(id);
  broker_.Lose(DeadLetterStream("j"), 1);
  broker_.Lose(DeadLetterStream("j"), 3);
  EXPECT_THAT(Verify().differences.kept(), IsEmpty());
}

TEST_F(VerifierTest, TheOwnersStateIsComparedWhereThereIsAnOwner) {
  Feed({1, 2});
  Own(1);
  PartitionReport said;
  said.uid = kVerifyUid;
  said.epoch = 1;
  WorkerSeen worker;
  worker.lease.incarnation = "w1";
  worker.lease.state = "ready";
  worker.lease.partitions = {said};
  worker.renewed_ns = cluster_.newest_lease_ns;
  cluster_.workers["w1"] = worker;
  const auto right = DigestOf(replay_->pipeline(), replay_->state());
  ASSERT_TRUE(right.ok());
  std::string digest = right->digest;
  const std::unique_ptr<MemoryBus> owner = broker_.Connect();
  ASSERT_TRUE(owner
                  ->Serve(WorkerSubject("w1"),
                          [&](const Bus::Incoming& question) {
                            const nlohmann::json answer = {{"ok", true},
                                                           {"offset", replay_->offset().value()},
                                                           {"keys", right->keys},
                                                           {"digest", digest}};
                            EXPECT_TRUE(owner->Reply(question.reply_to, answer.dump()).ok());
                          })
                  .ok());
  const VerifyReport report = Verify();
  EXPECT_EQ(report.states_compared, 1u);
  EXPECT_THAT(report.differences.kept(), IsEmpty());
  digest = "0000000000000000";
  EXPECT_THAT(Verify().differences.kept(), ElementsAre(HasSubstr("is not the replay's")));
}

TEST_F(VerifierTest, ALogThatLacksMessagesIsADifferenceAndNoError) {
  Feed({1, 2});
  Own(1);
  Complete();
  broker_.Lose(InputStream("j", kFirstSegment, kPartition), 2);
  EXPECT_GT(Verify().differences.count(), 0u);
}

}  // namespace
}  // namespace millrace
