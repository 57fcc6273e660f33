#include "common/frame/writer_cursors.h"

#include <gtest/gtest.h>

#include <random>

namespace millrace {
namespace {

using Judged = WriterCursors::Verdict;

constexpr char kUid[] = "9f86d081884c7d65";

// A message of writer "0.1": kind, epoch, prev, upto; marks are whole offsets unless said otherwise.
MessageHeader Message(FrameKind kind, uint64_t epoch, Mark prev, Mark upto) {
  MessageHeader header;
  header.kind = kind;
  header.uid = kUid;
  header.writer = "0.1";
  header.epoch = Epoch(epoch);
  header.prev = prev;
  header.upto = upto;
  header.records = upto.offset;
  return header;
}
MessageHeader Data(uint64_t epoch, uint64_t prev, uint64_t upto) {
  return Message(FrameKind::kData, epoch, {prev, 0}, {upto, 0});
}
MessageHeader EpochMark(uint64_t epoch, uint64_t mark = 0) {
  return Message(FrameKind::kEpoch, epoch, {mark, 0}, {mark, 0});
}
MessageHeader End(uint64_t epoch, uint64_t mark) {
  return Message(FrameKind::kEnd, epoch, {mark, 0}, {mark, 0});
}
MessageHeader Tick(uint64_t epoch) { return Message(FrameKind::kTick, epoch, {}, {}); }

struct Offered {
  MessageHeader message;
  Judged expected;
};

WriterCursors OfferAll(const std::vector<Offered>& offers) {
  WriterCursors cursors(kUid);
  for (size_t i = 0; i < offers.size(); ++i) {
    EXPECT_EQ(cursors.Offer(offers[i].message), offers[i].expected)
        << "message " << i << ": " << FormatMessageHeader(offers[i].message);
  }
  return cursors;
}

Mark MarkOf(const WriterCursors& cursors) { return cursors.Get("0.1").mark; }

TEST(WriterCursorsTest, TakesWhatFollowsAndDropsWhatWasSeen) {
  const WriterCursors cursors = OfferAll({
      {EpochMark(1), Judged::kTake},
      {Data(1, 0, 5), Judged::kTake},
      {Data(1, 5, 9), Judged::kTake},
      {Data(1, 5, 9), Judged::kDuplicate},
      {Data(1, 0, 5), Judged::kDuplicate},
      {Data(1, 9, 12), Judged::kTake},
  });
  EXPECT_EQ(MarkOf(cursors), (Mark{12, 0}));
  EXPECT_EQ(cursors.Get("0.1").records, 12);
}

TEST(WriterCursorsTest, AppendRefusedWhileLaterOnesLandIsFilledByTheResend) {
  // Message 5 was refused, 6 and 7 were in flight and landed; then 5, 6 and 7 come again.
  const WriterCursors cursors = OfferAll({
      {EpochMark(1), Judged::kTake},
      {Data(1, 0, 5), Judged::kTake},
      {Data(1, 6, 7), Judged::kGap},
      {Data(1, 7, 8), Judged::kGap},
      {Data(1, 5, 6), Judged::kTake},
      {Data(1, 6, 7), Judged::kTake},
      {Data(1, 7, 8), Judged::kTake},
  });
  EXPECT_EQ(MarkOf(cursors), (Mark{8, 0}));
}

TEST(WriterCursorsTest, ZombieBetweenTwoExpectedSequencesIsDropped) {
  // Owner 1 stops after 4; owner 2 marks its epoch and goes on from there. A pipelined message of owner 1
  // lands between the two.
  const WriterCursors cursors = OfferAll({
      {EpochMark(1), Judged::kTake},
      {Data(1, 0, 4), Judged::kTake},
      {EpochMark(2, 4), Judged::kTake},
      {Data(1, 4, 6), Judged::kStale},
      {Data(2, 4, 5), Judged::kTake},
      {Data(1, 5, 6), Judged::kStale},
      {EpochMark(1), Judged::kStale},
      {End(1, 5), Judged::kStale},
      {Tick(1), Judged::kStale},
      {Data(2, 5, 6), Judged::kTake},
  });
  EXPECT_EQ(MarkOf(cursors), (Mark{6, 0}));
  EXPECT_EQ(cursors.Get("0.1").epoch, Epoch(2));
}

TEST(WriterCursorsTest, MessageOfOldEpochBeforeTheNewMarkStillCounts) {
  OfferAll({
      {EpochMark(1), Judged::kTake},
      {Data(1, 0, 4), Judged::kTake},
      {Data(1, 4, 6), Judged::kTake},
      {EpochMark(2, 4), Judged::kTake},
      {Data(2, 4, 5), Judged::kDuplicate},
      {Data(2, 5, 7), Judged::kTake},
  });
}

TEST(WriterCursorsTest, HigherEpochIsSeenInWhateverMessageCarriesIt) {
  OfferAll({{Data(3, 0, 5), Judged::kTake}, {Data(2, 5, 6), Judged::kStale}});
  OfferAll({{Data(3, 4, 5), Judged::kGap}, {Data(2, 0, 4), Judged::kStale}, {Data(3, 0, 4), Judged::kTake}});
  OfferAll(
      {{Data(1, 0, 5), Judged::kTake}, {Data(2, 0, 5), Judged::kDuplicate}, {Data(1, 5, 6), Judged::kStale}});
  OfferAll({{Tick(2), Judged::kTake}, {Tick(1), Judged::kStale}});
}

TEST(WriterCursorsTest, EpochMarkIsTakenOnceAndMovesNoMark) {
  const WriterCursors cursors = OfferAll({
      {Data(1, 0, 4), Judged::kTake},
      {EpochMark(2, 9), Judged::kTake},
      {EpochMark(2, 9), Judged::kDuplicate},
  });
  EXPECT_EQ(MarkOf(cursors), (Mark{4, 0}));
}

TEST(WriterCursorsTest, OverlapIsTakenUpToItsEnd) {
  const WriterCursors cursors = OfferAll({
      {Message(FrameKind::kResults, 1, {0, 0}, {7, 3}), Judged::kTake},
      {Message(FrameKind::kResults, 2, {7, 0}, {7, 5}), Judged::kTake},
      {Message(FrameKind::kResults, 2, {7, 0}, {7, 5}), Judged::kDuplicate},
  });
  EXPECT_EQ(MarkOf(cursors), (Mark{7, 5}));
}

TEST(WriterCursorsTest, EndMarkIsTakenOnceAndNotBeforeWhatItEnds) {
  const WriterCursors cursors = OfferAll({
      {Data(1, 0, 4), Judged::kTake},
      {End(1, 6), Judged::kGap},
      {Data(1, 4, 6), Judged::kTake},
      {End(1, 6), Judged::kTake},
      {End(1, 6), Judged::kDuplicate},
      {End(2, 6), Judged::kDuplicate},
  });
  EXPECT_TRUE(cursors.Get("0.1").ended);
  EXPECT_EQ(MarkOf(cursors), (Mark{6, 0}));
}

TEST(WriterCursorsTest, TicksAreTimeOnly) {
  const WriterCursors cursors =
      OfferAll({{Data(1, 0, 4), Judged::kTake}, {Tick(1), Judged::kTake}, {Tick(1), Judged::kTake}});
  EXPECT_EQ(MarkOf(cursors), (Mark{4, 0}));
  EXPECT_EQ(cursors.Get("0.1").records, 4);
}

TEST(WriterCursorsTest, EarlierJobOfTheSameNameIsForeign) {
  MessageHeader foreign = Data(9, 0, 100);
  foreign.uid = "0000000000000000";
  const WriterCursors cursors = OfferAll({{foreign, Judged::kForeign}, {Data(1, 0, 1), Judged::kTake}});
  EXPECT_EQ(cursors.all().size(), 1);
}

TEST(WriterCursorsTest, WritersDoNotTouchEachOther) {
  WriterCursors cursors(kUid);
  MessageHeader other = Data(7, 0, 50);
  other.writer = "in";
  EXPECT_EQ(cursors.Offer(other), Judged::kTake);
  EXPECT_EQ(cursors.Offer(Data(1, 0, 5)), Judged::kTake);
  EXPECT_EQ(cursors.Get("in").mark, (Mark{50, 0}));
  EXPECT_EQ(cursors.Get("never").epoch, Epoch(0));
}

// A writer with resends, zombies and gaps: each position is taken exactly once, in order.
TEST(WriterCursorsTest, RandomResendsAndZombiesGiveEachPositionOnce) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    WriterCursors cursors(kUid);
    uint64_t epoch = 1;
    uint64_t accepted = 0;  // what the stream holds, as a reader must see it
    for (int step = 0; step < 100; ++step) {
      const Mark before = MarkOf(cursors);
      const uint64_t prev = random() % (accepted + 3);
      const uint64_t upto = prev + 1 + random() % 3;
      const uint64_t of_epoch = epoch - std::min<uint64_t>(epoch - 1, random() % 3 == 0 ? 1 : 0);
      if (random() % 10 == 0) cursors.Offer(EpochMark(++epoch, accepted));
      const Judged verdict = cursors.Offer(Data(of_epoch, prev, upto));
      const bool counts = of_epoch >= cursors.Get("0.1").epoch.value() && prev <= accepted && upto > accepted;
      EXPECT_EQ(verdict == Judged::kTake, counts);
      if (counts) accepted = upto;
      EXPECT_GE(MarkOf(cursors), before);
      EXPECT_EQ(MarkOf(cursors).offset, accepted);
    }
  }
}

TEST(WriterCursorsTest, EncodingRoundTripsAndEveryCutIsRefused) {
  WriterCursors cursors = OfferAll({{Data(3, 0, 300), Judged::kTake}, {End(3, 300), Judged::kTake}});
  MessageHeader other = Message(FrameKind::kResults, 1, {0, 0}, {1, 70000});
  other.writer = "in";
  cursors.Offer(other);
  const std::string bytes = cursors.Encode();
  const absl::StatusOr<WriterCursors> read = WriterCursors::Decode(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->uid(), kUid);
  EXPECT_EQ(read->all().size(), 2);
  EXPECT_TRUE(read->Get("0.1").ended);
  EXPECT_EQ(read->Get("0.1").epoch, Epoch(3));
  EXPECT_EQ(read->Get("0.1").records, 300);
  EXPECT_EQ(read->Get("in").mark, (Mark{1, 70000}));
  EXPECT_EQ(read->Encode(), bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(WriterCursors::Decode(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(WriterCursors::Decode(bytes + "x").ok());
}

}  // namespace
}  // namespace millrace
