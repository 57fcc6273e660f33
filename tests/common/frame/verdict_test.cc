#include "common/frame/verdict.h"

#include <gtest/gtest.h>

#include "common/frame/frame.h"

namespace millrace {
namespace {

TEST(Verdict, ComesBackAsItWasWritten) {
  const auto read = ParseVerdicts(EncodeVerdict({Offset(17), 3, "too slow", "score"}));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().offset, Offset(17));
  EXPECT_EQ(read->front().record, 3u);
  EXPECT_EQ(read->front().reason, "too slow");
  EXPECT_EQ(read->front().stage, "score");
  EXPECT_EQ(read->front().outcome, Verdict::Outcome::kOverran);
}

TEST(Verdict, AnswersComeManyInAMessage) {
  const Verdict first = {Offset(17), 3, "\x81\xa1x\x07", "score", Verdict::Outcome::kAnswered, 2, "ab12"};
  const Verdict second = {Offset(18), 0, "", "other", Verdict::Outcome::kAnswered, 0, "cd34"};
  const auto read = ParseVerdicts(EncodeVerdicts(std::vector<Verdict>{first, second}));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->front().outcome, Verdict::Outcome::kAnswered);
  EXPECT_EQ(read->front().reason, first.reason);
  EXPECT_EQ(read->front().nth, 2u);
  EXPECT_EQ(read->front().request, "ab12");
  EXPECT_EQ(read->back().offset, Offset(18));
  EXPECT_EQ(read->back().stage, "other");
}

TEST(Verdict, OneOfAnEarlierVersionNamesNoStage) {
  FrameBuilder frame(FrameKind::kVerdict);
  RecordView record;
  record.key = "17.3";
  record.value = "too slow";
  frame.Add(record);
  const auto read = ParseVerdicts(frame.Finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->front().offset, Offset(17));
  EXPECT_EQ(read->front().stage, "");
}

TEST(Verdict, OtherFramesAndKeysAreRefused) {
  RecordView record;
  for (const std::string key : {"", "17", "17.x", "x.3", "-1.2"}) {
    FrameBuilder frame(FrameKind::kVerdict);
    record.key = key;
    frame.Add(record);
    EXPECT_TRUE(absl::IsDataLoss(ParseVerdicts(frame.Finish()).status())) << key;
  }
  FrameBuilder data(FrameKind::kData);
  record.key = "17.3";
  data.Add(record);
  EXPECT_TRUE(absl::IsDataLoss(ParseVerdicts(data.Finish()).status()));
}

}  // namespace
}  // namespace millrace
