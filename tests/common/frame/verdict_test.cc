#include "common/frame/verdict.h"

#include <gtest/gtest.h>

#include "common/frame/frame.h"

namespace millrace {
namespace {

TEST(Verdict, ComesBackAsItWasWritten) {
  const absl::StatusOr<Verdict> read = ParseVerdict(EncodeVerdict({Offset(17), 3, "too slow", "score"}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->offset, Offset(17));
  EXPECT_EQ(read->record, 3u);
  EXPECT_EQ(read->reason, "too slow");
  EXPECT_EQ(read->stage, "score");
}

TEST(Verdict, OneOfAnEarlierVersionNamesNoStage) {
  FrameBuilder frame(FrameKind::kVerdict);
  RecordView record;
  record.key = "17.3";
  record.value = "too slow";
  frame.Add(record);
  const absl::StatusOr<Verdict> read = ParseVerdict(frame.Finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->offset, Offset(17));
  EXPECT_EQ(read->stage, "");
}

TEST(Verdict, OtherFramesAndKeysAreRefused) {
  RecordView record;
  for (const std::string key : {"", "17", "17.x", "x.3", "-1.2"}) {
    FrameBuilder frame(FrameKind::kVerdict);
    record.key = key;
    frame.Add(record);
    EXPECT_TRUE(absl::IsDataLoss(ParseVerdict(frame.Finish()).status())) << key;
  }
  FrameBuilder data(FrameKind::kData);
  record.key = "17.3";
  data.Add(record);
  EXPECT_TRUE(absl::IsDataLoss(ParseVerdict(data.Finish()).status()));
}

}  // namespace
}  // namespace millrace
