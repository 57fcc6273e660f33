#include "common/frame/message_header.h"

#include <gtest/gtest.h>

#include <limits>

namespace millrace {
namespace {

MessageHeader Sample() {
  MessageHeader header;
  header.kind = FrameKind::kData;
  header.uid = "9f86d081884c7d65";
  header.writer = "in";
  header.epoch = Epoch(3);
  header.prev = {0, 0};
  header.upto = {18734, 2};
  header.records = 128;
  return header;
}

TEST(MessageHeaderLetterTest, ARetryNamesItsLetterBehindTheRest) {
  const MessageHeader header = {
      FrameKind::kData, "00000000000000aa", kRetryWriter, Epoch(1), Mark{0, 0}, Mark{1, 0}, 1, "0.3.17.2"};
  const std::string text = FormatMessageHeader(header);
  EXPECT_TRUE(text.ends_with(" 1 0.3.17.2")) << text;
  EXPECT_EQ(*ParseMessageHeader(text), header);
}

TEST(MessageHeaderTest, IsWrittenAsDocumented) {
  EXPECT_EQ(FormatMessageHeader(Sample()), "1 d 9f86d081884c7d65 in 3 0.0 18734.2 128");
  EXPECT_EQ(OwnerWriter(SegmentId(1), PartitionId(12)), "1.12");
}

TEST(MessageHeaderTest, EveryKindAndExtremeNumbersRoundTrip) {
  for (FrameKind kind : {FrameKind::kData, FrameKind::kResults, FrameKind::kEpoch, FrameKind::kEnd,
                         FrameKind::kTick, FrameKind::kVerdict, FrameKind::kCode}) {
    MessageHeader header = Sample();
    header.kind = kind;
    header.upto = {std::numeric_limits<uint64_t>::max(), std::numeric_limits<uint32_t>::max()};
    header.epoch = Epoch(std::numeric_limits<uint64_t>::max());
    header.records = std::numeric_limits<uint64_t>::max();
    const absl::StatusOr<MessageHeader> read = ParseMessageHeader(FormatMessageHeader(header));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, header);
  }
}

TEST(MessageHeaderTest, FieldsOfLaterVersionsAreIgnored) {
  const absl::StatusOr<MessageHeader> read = ParseMessageHeader(FormatMessageHeader(Sample()) + " x=1 y");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Sample());
}

TEST(MessageHeaderTest, MalformedOnesAreRefused) {
  for (const char* text : {
           "", "1",
           "2 d u in 3 0.0 1.0 1",                     // a version of the future
           "1 x u in 3 0.0 1.0 1",                     // no such kind
           "1 dd u in 3 0.0 1.0 1",                    //
           "1 d  in 3 0.0 1.0 1",                      // no uid
           "1 d u in -3 0.0 1.0 1",                    //
           "1 d u in +3 0.0 1.0 1",                    //
           "1 d u in 3 0 1.0 1",                       // a mark without an index
           "1 d u in 3 0.0 1.4294967296 1",            // an index over 32 bits
           "1 d u in 18446744073709551616 0.0 1.0 1",  // an epoch over 64 bits
           "1 d u in 3 2.0 1.0 1",                     // ends before it begins
           "1 d u in 3 0.0 1.0",                       // no record count
           "1 d u in 3 0.0 1.0 1x",                    //
           "1 d u in 3 0.0 1.0x 1",                    //
       }) {
    EXPECT_EQ(ParseMessageHeader(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  const std::string long_name(65, 'w');
  EXPECT_FALSE(ParseMessageHeader("1 d u " + long_name + " 3 0.0 1.0 1").ok());
}

TEST(MessageHeaderTest, AReaderTellsAStrangersMessageFromOneThatItCannotRead) {
  EXPECT_EQ(*ReadMessageHeader(""), std::nullopt);
  EXPECT_EQ(*ReadMessageHeader(FormatMessageHeader(Sample())), Sample());
  EXPECT_TRUE(absl::IsDataLoss(ReadMessageHeader("2 d u in 3 0.0 1.0 1").status()));
  EXPECT_TRUE(absl::IsDataLoss(ReadMessageHeader("nonsense").status()));
}

}  // namespace
}  // namespace millrace
