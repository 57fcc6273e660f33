#include "common/frame/input_judge.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr char kJudgedUid[] = "9f86d081884c7d65";

MessageHeader HeaderOf(FrameKind kind, const std::string& writer, Mark prev, Mark upto) {
  return {kind, kJudgedUid, writer, Epoch(1), prev, upto, 0};
}

InputJudge TwoUpstreams() { return InputJudge({"0.0", "0.1"}, WriterCursors(kJudgedUid)); }

TEST(InputJudgeTest, EndsWhenEveryUpstreamHasEndedAndOnlyOnce) {
  InputJudge judge = TwoUpstreams();
  EXPECT_FALSE(judge.Offer(HeaderOf(FrameKind::kEnd, "0.0", {}, {}))->ends_input);
  EXPECT_FALSE(judge.Offer(HeaderOf(FrameKind::kEnd, "tick", {}, {}))->ends_input);
  EXPECT_TRUE(judge.Offer(HeaderOf(FrameKind::kEnd, "0.1", {}, {}))->ends_input);
  EXPECT_FALSE(judge.Offer(HeaderOf(FrameKind::kEnd, "0.1", {}, {})).has_value());
}

TEST(InputJudgeTest, AMessageCutAnewTellsWhereItsRecordsBegin) {
  InputJudge judge = TwoUpstreams();
  EXPECT_EQ(judge.Offer(HeaderOf(FrameKind::kResults, "0.0", {}, {5, 0}))->taken_until, Mark{});
  EXPECT_EQ(judge.Offer(HeaderOf(FrameKind::kResults, "0.0", {3, 0}, {9, 0}))->taken_until, (Mark{5, 0}));
  EXPECT_EQ(judge.Offer(HeaderOf(FrameKind::kResults, "0.1", {}, {2, 0}))->taken_until, Mark{});
  EXPECT_FALSE(judge.Offer(HeaderOf(FrameKind::kResults, "0.1", {4, 0}, {6, 0})).has_value());
}

TEST(InputJudgeTest, TheWatermarkIsTheSlowestUpstreams) {
  InputJudge judge = TwoUpstreams();
  EXPECT_EQ(judge.RaiseWatermark("0.0", 100), kNoTime) << "0.1 was not heard from";
  EXPECT_EQ(judge.RaiseWatermark("0.1", 40), 40);
  EXPECT_EQ(judge.RaiseWatermark("0.0", 200), 40);
  EXPECT_EQ(judge.RaiseWatermark("0.1", 120), 120);
  EXPECT_EQ(judge.RaiseWatermark("0.1", 110), 120) << "it never falls";
  EXPECT_EQ(judge.RaiseWatermark("tick", kNoTime), 120);
}

TEST(InputJudgeTest, AnUpstreamThatHasEndedHoldsNothingBack) {
  InputJudge judge = TwoUpstreams();
  EXPECT_EQ(judge.RaiseWatermark("0.0", 100), kNoTime);
  ASSERT_TRUE(judge.Offer(HeaderOf(FrameKind::kEnd, "0.1", {}, {})).has_value());
  EXPECT_EQ(judge.RaiseWatermark("0.1", 30), 100);
  ASSERT_TRUE(judge.Offer(HeaderOf(FrameKind::kEnd, "0.0", {}, {}))->ends_input);
  EXPECT_EQ(judge.RaiseWatermark("0.0", 150), 150) << "what is due by then fires before the end";
}

TEST(InputJudgeTest, GoesOnFromTheCursorsOfACommit) {
  InputJudge judge = TwoUpstreams();
  ASSERT_TRUE(judge.Offer(HeaderOf(FrameKind::kEnd, "0.1", {}, {7, 0})).has_value());
  judge.RaiseWatermark("0.0", 100);
  judge.RaiseWatermark("0.1", 60);
  InputJudge again({"0.0", "0.1"}, *WriterCursors::Decode(judge.cursors().Encode()));
  EXPECT_EQ(again.RaiseWatermark("0.0", 0), 100);
  EXPECT_TRUE(again.Offer(HeaderOf(FrameKind::kEnd, "0.0", {}, {}))->ends_input);
}

TEST(InputJudgeTest, AWriterBesideTheInputNeitherEndsItNorMovesItsTime) {
  WriterCursors cursors("u");
  InputJudge judge({kIngestWriter}, cursors);
  const auto offer = [&](FrameKind kind, const char* writer, uint64_t prev, uint64_t upto) {
    return judge.Offer({kind, "u", writer, Epoch(1), {prev, 0}, {upto, 0}, 1});
  };
  ASSERT_TRUE(offer(FrameKind::kData, kIngestWriter, 0, 10).has_value());
  EXPECT_EQ(judge.RaiseWatermark(kIngestWriter, 500), 500);
  ASSERT_TRUE(offer(FrameKind::kData, "add-1", 0, 90).has_value());
  EXPECT_EQ(judge.RaiseWatermark("add-1", 900), 500);
  const auto end = offer(FrameKind::kEnd, "add-1", 90, 90);
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(end->ends_input);
  EXPECT_EQ(judge.RaiseWatermark("add-1", kNoTime), 500);
  ASSERT_TRUE(offer(FrameKind::kData, kIngestWriter, 10, 20).has_value());
  EXPECT_EQ(judge.RaiseWatermark(kIngestWriter, 600), 600);
}

}  // namespace
}  // namespace millrace
