// Verification of a log whose beginning is deleted, from a checkpoint that a worker left.
#include "gmock/gmock.h"
#include "tests/coordinator/verify/stored_checkpoint.h"
#include "tests/coordinator/verify/verifier_fixture.h"
#include "tests/support/memory_blob_store.h"

namespace millrace {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kTrimmedJob[] =
    "name: j\nkey: k\npartitions: 1\nretain: results\nstages:\n"
    "  - filter: r.v > 0 or error('not positive')\n    name: check\n"
    "  - aggregate: { n: count(), s: sum(v) }\n";

class VerifyFromCheckpointTest : public VerifierTest {
 protected:
  VerifyFromCheckpointTest() : VerifierTest(kTrimmedJob) {}

  std::string LogName() const { return InputStream("j", kFirstSegment, kPartition); }
  // The log so far, run by an owner, is in a checkpoint.
  void Checkpoint() {
    Run();
    const StreamInfo log = *bus_->GetStream(LogName());
    StoreCheckpoint(*store_, kVerifyUid, *replay_, log,
                    bus_->GetMessage(LogName(), log.last_sequence)->time_ns);
  }
  // Messages 2, 3, … each of one record; with checkpoints behind the first three of them.
  void FeedWithCheckpoints() {
    AppendInput(FrameKind::kEpoch, {});
    for (int64_t value = 1; value <= 6; ++value) {
      AppendInput(FrameKind::kData, {value});
      if (value <= 3) Checkpoint();
    }
    AppendInput(FrameKind::kEnd, {});
  }
  void TrimBefore(uint64_t sequence) { broker_.Purge(LogName(), sequence - 1); }

  MemoryBlobPlace place_;
  std::unique_ptr<BlobStore> store_ = place_.Open();
};

TEST_F(VerifyFromCheckpointTest, ProvesWhatLiesBehindTheOldestFromWhichTheLogLeadsOn) {
  FeedWithCheckpoints();
  Own(1);
  Complete();
  TrimBefore(3);
  const VerifyReport report = Verify(store_.get());
  EXPECT_THAT(report.differences.kept(), IsEmpty());
  EXPECT_EQ(report.from_checkpoints, 1u);
  EXPECT_EQ(report.messages, 6u) << "3 to 8";
  EXPECT_EQ(report.messages_in_log, 8u);
  EXPECT_EQ(report.records, 5u);
  EXPECT_EQ(report.results, 5u);
  EXPECT_EQ(report.results_before, 1u);
  EXPECT_EQ(ToJson(report, "j")["percent"], 75.0);
  EXPECT_THAT(report.notes, Contains(HasSubstr("proved by nothing here")));
}

TEST_F(VerifyFromCheckpointTest, FindsAForgedResultBehindIt) {
  FeedWithCheckpoints();
  GatheringSink sink = Run();
  sink.values[4] = sink.values[5];
  AppendResultMark(FrameKind::kEpoch, 1, {});
  AppendResults(sink, 6, 1);
  AppendResultMark(FrameKind::kEnd, 1, Mark::AfterFrame(replay_->offset()));
  Complete();
  TrimBefore(3);
  EXPECT_THAT(Verify(store_.get()).differences.kept(), ElementsAre(HasSubstr("result 6.0 of key `a` has")));
}

TEST_F(VerifyFromCheckpointTest, FindsAResultThatIsGoneBehindIt) {
  FeedWithCheckpoints();
  Own(1, 5);
  Complete();
  TrimBefore(3);
  EXPECT_THAT(Verify(store_.get()).differences.kept(), ElementsAre(HasSubstr("result 7.0 is missing")));
}

TEST_F(VerifyFromCheckpointTest, FindsThatTheCheckpointsStateDoesNotLeadToTheResults) {
  AppendInput(FrameKind::kEpoch, {});
  AppendInput(FrameKind::kData, {1});
  Checkpoint();
  // What the owner did stands on another first record.
  broker_.RollBack(LogName(), 1);
  fed_ = 0;
  AppendInput(FrameKind::kData, {9});
  AppendInput(FrameKind::kData, {2});
  AppendInput(FrameKind::kEnd, {});
  Own(1);
  Complete();
  TrimBefore(3);
  EXPECT_THAT(Verify(store_.get()).differences.kept(), ElementsAre(HasSubstr("result 3.0 of key `a` has")));
}

TEST_F(VerifyFromCheckpointTest, ADamagedOneIsPassedOverForTheNext) {
  FeedWithCheckpoints();
  Own(1);
  Complete();
  TrimBefore(3);
  place_.FlipBit(place_.Names(StrCat(kVerifyUid, "/0-0/files/")).front(), 70);
  const VerifyReport report = Verify(store_.get());
  EXPECT_THAT(report.differences.kept(), IsEmpty());
  EXPECT_EQ(report.messages, 5u);
  EXPECT_THAT(report.notes, Contains(HasSubstr("at offset 2 cannot be used")));
}

TEST_F(VerifyFromCheckpointTest, WithoutOneThatLeadsOnItRefuses) {
  FeedWithCheckpoints();
  Own(1);
  Complete();
  TrimBefore(6);
  const auto none = Verifier(*bus_, SystemClock(), cluster_, job_, {spec_}, store_.get()).Run();
  EXPECT_TRUE(absl::IsFailedPrecondition(none.status())) << none.status();
  EXPECT_THAT(ToStd(none.status().message()), HasSubstr("none of its 3 checkpoints"));
  const auto unknown = Verifier(*bus_, SystemClock(), cluster_, job_, {spec_}).Run();
  EXPECT_TRUE(absl::IsFailedPrecondition(unknown.status())) << unknown.status();
  EXPECT_THAT(ToStd(unknown.status().message()), HasSubstr("try --checkpoints URL"));
}

TEST_F(VerifyFromCheckpointTest, AWholeLogIsReplayedFromItsFirstMessage) {
  FeedWithCheckpoints();
  Own(1);
  Complete();
  const VerifyReport report = Verify(store_.get());
  EXPECT_EQ(report.messages, 8u);
  EXPECT_EQ(report.from_checkpoints, 0u);
}

TEST_F(VerifyFromCheckpointTest, ACheckpointOfAnotherStreamOfThatNameIsADifference) {
  AppendInput(FrameKind::kEpoch, {});
  AppendInput(FrameKind::kData, {1});
  Run();
  StoreCheckpoint(*store_, kVerifyUid, *replay_, StreamInfo{}, 0);
  AppendInput(FrameKind::kEnd, {});
  Own(1);
  Complete();
  TrimBefore(3);
  EXPECT_THAT(Verify(store_.get()).differences.kept(), Contains(HasSubstr("was made anew")));
}

TEST(PlanReplayStartTest, TakesTheOldestFromWhichTheLogLeadsOn) {
  const std::vector<CheckpointId> there = {
      {Epoch(2), Offset(40)}, {Epoch(1), Offset(10)}, {Epoch(1), Offset(20)}, {Epoch(2), Offset(30)}};
  const auto offsets = [&](uint64_t log_begins_at, const ReplayWish& wish) {
    std::vector<uint64_t> of;
    for (const CheckpointId& id : PlanReplayStart(there, log_begins_at, wish))
      of.push_back(id.offset.value());
    return of;
  };
  EXPECT_THAT(offsets(1, {}), IsEmpty()) << "a whole log needs none";
  EXPECT_THAT(offsets(11, {}), ElementsAre(10, 20, 30, 40));
  EXPECT_THAT(offsets(12, {}), ElementsAre(20, 30, 40));
  EXPECT_THAT(offsets(12, {.passed_over = 1}), ElementsAre(30, 40));
  EXPECT_THAT(offsets(12, {.passed_over = 9}), ElementsAre(40));
  EXPECT_THAT(offsets(42, {.passed_over = 1}), IsEmpty());
  EXPECT_THAT(offsets(1, {.before = Offset(30)}), ElementsAre(20, 10));
  EXPECT_THAT(offsets(21, {.before = Offset(31)}), ElementsAre(30, 20, 40));
  EXPECT_THAT(offsets(21, {.before = Offset(5)}), ElementsAre(20, 30, 40));
}

}  // namespace
}  // namespace millrace
