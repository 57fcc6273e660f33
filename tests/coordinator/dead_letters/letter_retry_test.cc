#include "coordinator/dead_letters/letter_retry.h"

#include "coordinator/dead_letters/letter_record.h"
#include "tests/coordinator/dead_letters/letters_fixture.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LetterRetryTest : public LettersFixture {
 protected:
  absl::StatusOr<RetryReport> Retry(const std::vector<std::string>& ids = {}) {
    return LetterRetry(*bus_, clock_, job_, spec_).Run(ids);
  }
  std::string FrameFor(const std::string& id) {
    return *FrameOfLetter(*bus_, job_, SegmentOf(spec_, kFirstSegment), *ParseLetterId(id));
  }
  std::unique_ptr<RetryLog> OpenLog() {
    auto log = std::make_unique<RetryLog>(*bus_, clock_, job_, SegmentOf(spec_, kFirstSegment), kPartition);
    EXPECT_TRUE(log->CatchUp().ok());
    return log;
  }
};

TEST_F(LetterRetryTest, ALettersRecordComesBackOnceAsItWas) {
  ASSERT_EQ(Feed({{"a", 1}, {"b", 2}, {"c", 3}}), 1u);
  AddLetter("0.0.1.1");
  const auto report = Retry();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->retried, 1u);
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000", "b=2@1001", "c=3@1002", "b=2@1001"));
  EXPECT_THAT(Listed(), ElementsAre("0.0.1.1 2"));
}

TEST_F(LetterRetryTest, WhatWasRetriedIsNotRetriedAgain) {
  Feed({{"a", 1}, {"b", 2}});
  AddLetter("0.0.1.0");
  AddLetter("0.0.1.1");
  ASSERT_EQ(Retry({"0.0.1.1"})->retried, 1u);
  const auto again = Retry();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->retried, 1u);
  EXPECT_EQ(again->retried_before, 1u);
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000", "b=2@1001", "b=2@1001", "a=1@1000"));
}

TEST_F(LetterRetryTest, KilledBetweenTheAppendAndItsMarkItFindsTheRecordInTheLog) {
  Feed({{"a", 1}});
  AddLetter("0.0.1.0");
  ASSERT_TRUE(OpenLog()->Append("0.0.1.0", FrameFor("0.0.1.0")).ok());
  EXPECT_THAT(Listed(), ElementsAre("0.0.1.0 null")) << "the command died here";
  const auto report = Retry();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->retried, 0u);
  EXPECT_EQ(report->retried_before, 1u);
  EXPECT_EQ(LogMessages(), 2u);
  EXPECT_THAT(Listed(), ElementsAre("0.0.1.0 2"));
}

TEST_F(LetterRetryTest, AnAppendWhoseAnswerIsLostIsReadBack) {
  Feed({{"a", 1}});
  AddLetter("0.0.1.0");
  bus_->LoseNextControlAnswer();
  const auto report = Retry();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(LogMessages(), 2u);
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000", "a=1@1000"));
}

TEST_F(LetterRetryTest, TwoAtOnceBringEachLetterBackOnce) {
  Feed({{"a", 1}, {"b", 2}});
  const auto one = OpenLog();
  const auto other = OpenLog();
  ASSERT_TRUE(one->Append("0.0.1.0", FrameFor("0.0.1.0")).ok());
  EXPECT_EQ(*other->Append("0.0.1.0", FrameFor("0.0.1.0")), Offset(2));
  EXPECT_EQ(*other->Append("0.0.1.1", FrameFor("0.0.1.1")), Offset(3));
  EXPECT_EQ(*one->Append("0.0.1.1", FrameFor("0.0.1.1")), Offset(3));
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000", "b=2@1001", "a=1@1000", "b=2@1001"));
}

TEST_F(LetterRetryTest, AStoppedRetryThatWakesUpLateCountsForNothing) {
  Feed({{"a", 1}, {"b", 2}});
  const std::string frame = FrameFor("0.0.1.0");
  ASSERT_TRUE(OpenLog()->Append("0.0.1.0", frame).ok());
  ASSERT_TRUE(OpenLog()->Append("0.0.1.1", FrameFor("0.0.1.1")).ok());
  // Decided on the log as it was before both, and not even held up by the expected sequence.
  AppendInput(FormatMessageHeader(
                  {FrameKind::kData, kUid, kRetryWriter, Epoch(1), Mark{0, 0}, Mark{1, 0}, 1, "0.0.1.0"}),
              frame);
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000", "b=2@1001", "a=1@1000", "b=2@1001"));
  EXPECT_EQ(OpenLog()->Find("0.0.1.0"), Offset(2));
}

TEST_F(LetterRetryTest, AMessageThatR3DropsWasNoRetry) {
  Feed({{"a", 1}, {"b", 2}});
  ASSERT_TRUE(OpenLog()->Append("0.0.1.0", FrameFor("0.0.1.0")).ok());
  // Another letter under the same mark: it came second.
  AppendInput(FormatMessageHeader(
                  {FrameKind::kData, kUid, kRetryWriter, Epoch(1), Mark{0, 0}, Mark{1, 0}, 1, "0.0.1.1"}),
              FrameFor("0.0.1.1"));
  EXPECT_EQ(OpenLog()->Find("0.0.1.1"), std::nullopt);
  ASSERT_TRUE(OpenLog()->Append("0.0.1.1", FrameFor("0.0.1.1")).ok());
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000", "b=2@1001", "a=1@1000", "b=2@1001"));
}

TEST_F(LetterRetryTest, BehindTheInputsEndNothingIsRetried) {
  Feed({{"a", 1}});
  AddLetter("0.0.1.0");
  EndInput();
  const auto report = Retry();
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->refused, ElementsAre(HasSubstr("0.0.1.0: its partition's input has ended")));
  EXPECT_EQ(LogMessages(), 2u);
}

TEST_F(LetterRetryTest, TheEndThatSlipsInBetweenIsSeen) {
  Feed({{"a", 1}});
  const auto log = OpenLog();
  EndInput();
  EXPECT_TRUE(absl::IsFailedPrecondition(log->Append("0.0.1.0", FrameFor("0.0.1.0")).status()));
  EXPECT_THAT(Taken(), ElementsAre("a=1@1000"));
}

TEST_F(LetterRetryTest, SaysWhatCannotBeRetriedAndGoesOn) {
  Feed({{"a", 1}});
  AppendInput("", "no json");
  AppendInput("", R"({"k":"s","v":7})");
  AddLetter("in.512");   // a line that was no record
  AddLetter("0.0.1.5");  // a timer's
  AddLetter("0.0.2.0");  // a stranger's, no record
  AddLetter("0.0.9.0");  // of a message that is gone
  AddLetter("0.0.3.0");
  const auto report = Retry();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->refused, ElementsAre(HasSubstr("in.512"), HasSubstr("no record: a timer"),
                                           HasSubstr("0.0.2.0: it is no record"), HasSubstr("0.0.9.0")));
  EXPECT_EQ(report->retried, 1u);
  EXPECT_THAT(Taken().back(), HasSubstr("s="));
}

TEST_F(LetterRetryTest, ALetterOfAPartitionThatTheJobDoesNotHaveIsRefused) {
  AddLetter("1.0.1.0");
  AddLetter("0.1.1.0");
  AddLetter("4294967295.0.1.0");
  const auto report = Retry();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->refused, ElementsAre(HasSubstr("1.0.1.0: the job has no such partition"),
                                           HasSubstr("0.1.1.0: "), HasSubstr("4294967295.0.1.0: ")));
}

TEST_F(LetterRetryTest, AStrangersRecordBehindTheFirstSegmentHasThatSegmentsFormatAndKey) {
  const JobSpec job = *ParseJob("job.yaml",
                                "name: j\nkey: k\npartitions: 1\nsource: {format: csv}\nstages:\n"
                                "  - key_by: town\n    partitions: 1\n  - filter: \"true\"\n");
  const SegmentId behind(1);
  const std::string subject = InputSubject("j", behind, kPartition);
  MakeStream(InputStream("j", behind, kPartition), subject);
  Append(subject, "", R"({"town":"Bern"})");
  const auto frame = FrameOfLetter(*bus_, job_, SegmentOf(job, behind), {behind, kPartition, Offset(1), 0});
  ASSERT_TRUE(frame.ok()) << frame.status();
  const auto view = FrameView::Parse(*frame);
  ASSERT_TRUE(view.ok()) << view.status();
  auto records = view->records();
  RecordView record;
  ASSERT_TRUE(records.Next(&record));
  EXPECT_EQ(record.key, "Bern");
}

TEST_F(LetterRetryTest, AMessageOfALaterVersionStopsTheRetry) {
  Feed({{"a", 1}});
  AppendInput("9 ? of a later version", "what");
  AddLetter("0.0.1.0");
  EXPECT_TRUE(absl::IsDataLoss(Retry().status())) << "it may be a retry of this very letter";
  EXPECT_EQ(LogMessages(), 2u);
}

TEST_F(LetterRetryTest, AnUnknownIdIsSaidBeforeAnythingIsRetried) {
  Feed({{"a", 1}});
  AddLetter("0.0.1.0");
  EXPECT_TRUE(absl::IsNotFound(Retry({"0.0.1.0", "0.0.1.7"}).status()));
  EXPECT_EQ(LogMessages(), 1u);
}

TEST_F(LetterRetryTest, ALogWithoutItsBeginningIsRefused) {
  Feed({{"a", 1}});
  Feed({{"b", 2}});
  AddLetter("0.0.2.0");
  broker_.Purge(InputStream("j", kFirstSegment, kPartition), 1);
  const auto report = Retry();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->refused, ElementsAre(HasSubstr("begins at 2")));
}

TEST(LetterIdTest, NamesAPlaceInALog) {
  const auto place = ParseLetterId("1.3.17.2");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->segment, SegmentId(1));
  EXPECT_EQ(place->partition, PartitionId(3));
  EXPECT_EQ(place->offset, Offset(17));
  EXPECT_EQ(place->record, 2u);
  for (const char* other : {"in.5", "", "1.2.3", "1.2.3.x", "1.2.3.4.5"})
    EXPECT_FALSE(ParseLetterId(other)) << other;
}

}  // namespace
}  // namespace millrace
