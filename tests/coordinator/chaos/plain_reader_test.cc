// The checker's reader against what the engine writes: two implementations of one document.
#include "coordinator/chaos/plain_reader.h"

#include <gtest/gtest.h>

#include "common/frame/frame.h"
#include "common/frame/message_header.h"
#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace::chaos {
namespace {

// {"count":300,"sum":-5} as MessagePack values one after the other.
const std::string kRow = std::string("\xcd\x01\x2c", 3) + std::string("\xfb", 1);

std::string ResultFrame() {
  FrameBuilder builder(FrameKind::kResults);
  const std::vector<std::string_view> fields = {"count", "sum"};
  RecordView record;
  record.shape = builder.InternShape(fields);
  record.key = "a";
  record.value = kRow;
  record.offset = Offset(7);
  record.index = 3;
  record.time_ms = 1000;
  builder.Add(record);
  record.shape = kRawShape;
  record.value = "raw";
  record.offset = Offset(9);
  record.index = 0;
  builder.AddHeaders({{"name", "value"}});
  builder.Add(record);
  return std::string(builder.Finish());
}

TEST(PlainReader, ReadsAFrameOfTheEngine) {
  const auto records = ReadPlainFrame(ResultFrame());
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].offset, 7u);
  EXPECT_EQ((*records)[0].index, 3u);
  EXPECT_EQ((*records)[0].key, "a");
  EXPECT_EQ((*records)[0].value, (nlohmann::json{{"count", 300}, {"sum", -5}}));
  EXPECT_EQ((*records)[1].offset, 9u);
  EXPECT_EQ((*records)[1].index, 0u);
  EXPECT_EQ((*records)[1].value, "raw");
}

TEST(PlainReader, RefusesADamagedFrame) {
  const std::string frame = ResultFrame();
  for (size_t i = 0; i < frame.size(); ++i) {
    std::string damaged = frame;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(ReadPlainFrame(damaged).ok()) << "byte " << i;
    EXPECT_FALSE(ReadPlainFrame(std::string_view(frame).substr(0, i)).ok()) << "cut at " << i;
  }
}

TEST(PlainReader, ReadsAHeaderOfTheEngine) {
  MessageHeader header;
  header.kind = FrameKind::kResults;
  header.uid = "9f86d081884c7d65";
  header.writer = "0.3";
  header.epoch = Epoch(2);
  header.prev = {17, 1};
  header.upto = {21, 0};
  header.records = 2560;
  const auto plain = ParsePlainHeader(FormatMessageHeader(header));
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->kind, 'r');
  EXPECT_EQ(plain->uid, header.uid);
  EXPECT_EQ(plain->writer, "0.3");
  EXPECT_EQ(plain->epoch, 2u);
  EXPECT_EQ(plain->prev, PlainMark(17, 1));
  EXPECT_EQ(plain->upto, PlainMark(21, 0));
  EXPECT_EQ(plain->records, 2560u);
}

TEST(PlainReader, RefusesWhatIsNoHeader) {
  for (const char* text :
       {"", "1 r u w 2 17.0 21.0", "2 r u w 2 17.0 21.0 5", "1 r u w x 17.0 21.0 5", "1 r u w 2 17 21.0 5"}) {
    EXPECT_FALSE(ParsePlainHeader(text).ok()) << text;
  }
}

struct JudgedMessage {
  std::string header;
  Taken taken;
};

TEST(PlainReader, JudgesByRuleThree) {
  PlainReader reader("u");
  for (const JudgedMessage& message :
       std::vector<JudgedMessage>{{"1 r other 0.0 9 0.0 9.0 1", Taken::kForeign},
                                  {"1 r u 0.0 1 0.0 3.0 1", Taken::kTaken},
                                  {"1 r u 0.0 1 0.0 3.0 1", Taken::kDuplicate},
                                  {"1 r u 0.0 1 4.0 5.0 1", Taken::kGap},
                                  {"1 e u 0.0 2 3.0 3.0 1", Taken::kDuplicate},
                                  {"1 r u 0.0 1 3.0 5.0 1", Taken::kStale},
                                  {"1 r u 0.0 2 3.0 4.0 1", Taken::kTaken},
                                  {"1 d u in 1 0.0 4.0 1", Taken::kTaken}}) {
    const auto header = ParsePlainHeader(message.header);
    ASSERT_TRUE(header.ok()) << message.header;
    PlainMark before;
    EXPECT_EQ(reader.Judge(*header, &before), message.taken) << message.header;
  }
}

TEST(PlainReader, FindsThePartitionOfAKeyAsTheEngineDoes) {
  for (int i = 0; i < 1000; ++i) {
    const std::string key = StrCat("key-", i);
    EXPECT_EQ(PlainPartition(key, 7), PartitionOf(key, 7).value()) << key;
  }
}

}  // namespace
}  // namespace millrace::chaos
