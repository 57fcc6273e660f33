#include "worker/partition/segment_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/partitioner.h"
#include "common/strings.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

constexpr uint32_t kRoutes = 2;
constexpr uint64_t kWriterCookies = (uint64_t{7} << 32) | (uint64_t{2} << kAppendCookieBits);

// What stands in one partition of the next segment.
struct Crossed {
  MessageHeader header;
  std::vector<std::string> labels;
  int64_t watermark_ms = kNoTime;
};

class SegmentWriterTest : public ::testing::Test {
 protected:
  SegmentWriterTest() {
    for (uint32_t d = 0; d < kRoutes; ++d) {
      StreamConfig config;
      config.name = InputStream("j", SegmentId(1), PartitionId(d));
      config.subjects = {InputSubject("j", SegmentId(1), PartitionId(d))};
      EXPECT_TRUE(bus_->CreateStream(config).ok());
    }
  }
  void Begin(const DownstreamMarks& marks = DownstreamMarks(kRoutes), Offset offset = Offset(0)) {
    const PartitionKey partition = {"j", "0123456789abcdef", SegmentId(0), PartitionId(3)};
    writer_ = std::make_unique<SegmentWriter>(SegmentWriterStart{partition, Epoch(2), offset, marks}, limits_,
                                              *bus_, clock_, kWriterCookies);
  }
  // A key of route `d`, and another.
  static std::string KeyOf(uint32_t d, int number = 0) {
    for (int i = 0;; ++i) {
      const std::string key = StrCat("key-", i);
      if (PartitionOf(key, kRoutes).value() == d && number-- == 0) return key;
    }
  }
  void Emit(uint64_t offset, uint32_t index, uint32_t route) {
    RecordView record;
    const std::string key = KeyOf(route);
    record.key = key;
    record.value = "value";
    record.offset = Offset(offset);
    record.index = index;
    writer_->Emit(record);
  }
  void TakeOutcomes() {
    std::vector<BusEvent> events;
    bus_->Poll(absl::ZeroDuration(), 1'000, &events);
    for (const BusEvent& event : events) {
      if (event.type == BusEvent::Type::kAppended) {
        EXPECT_TRUE(writer_->HandleAppended(event.cookie, event.status, event.sequence));
      }
    }
    writer_->CheckInvariants();
  }
  std::vector<Crossed> Read(uint32_t route) {
    std::vector<Crossed> messages;
    const std::string stream = InputStream("j", SegmentId(1), PartitionId(route));
    for (uint64_t n = 1; n <= bus_->GetStream(stream)->last_sequence; ++n) {
      const Message message = *bus_->GetMessage(stream, n);
      Crossed& crossed = messages.emplace_back();
      crossed.header = *ParseMessageHeader(message.header);
      const FrameView frame = *FrameView::Parse(message.payload);
      crossed.watermark_ms = frame.watermark_ms();
      FrameView::Cursor records = frame.records();
      for (RecordView record; records.Next(&record);) {
        crossed.labels.push_back(StrCat(record.offset.value(), ".", record.index));
      }
    }
    return messages;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  SegmentWriterLimits limits_;
  std::unique_ptr<SegmentWriter> writer_;
};

TEST_F(SegmentWriterTest, OutputsOfSeveralFramesTravelTogetherByKey) {
  Begin();
  Emit(1, 0, 0);
  Emit(1, 1, 1);
  Emit(1, 2, 0);
  writer_->FinishFrame(Offset(1), 100);
  Emit(2, 0, 0);
  writer_->FinishFrame(Offset(2), 200);
  writer_->FlushAll();
  const std::vector<Crossed> first = Read(0);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_THAT(first[0].labels, testing::ElementsAre("1.0", "1.2", "2.0"));
  EXPECT_EQ(first[0].watermark_ms, 200);
  EXPECT_EQ(first[0].header.prev, Mark{});
  EXPECT_EQ(first[0].header.upto, (Mark{3, 0}));
  EXPECT_EQ(first[0].header.writer, "0.3");
  EXPECT_THAT(Read(1)[0].labels, testing::ElementsAre("1.1"));
}

TEST_F(SegmentWriterTest, ALargeOutputGoesAloneSoThatItFitsIntoAMessage) {
  Begin();
  const std::string large(limits_.max_message_bytes + 1, 'x');
  for (uint32_t i = 0; i < 2; ++i) {
    Emit(1, 2 * i, 0);
    RecordView record;
    const std::string key = KeyOf(0);
    record.key = key;
    record.value = large;
    record.offset = Offset(1);
    record.index = 2 * i + 1;
    writer_->Emit(record);
  }
  writer_->FinishFrame(Offset(1), kNoTime);
  writer_->FlushAll();
  const std::vector<Crossed> messages = Read(0);
  ASSERT_EQ(messages.size(), 4u);
  for (const Crossed& message : messages) EXPECT_EQ(message.labels.size(), 1u);
  EXPECT_EQ(messages[1].header.prev, messages[0].header.upto);
}

TEST_F(SegmentWriterTest, LingersForCompanyButNotBehindAQuietTime) {
  Begin();
  clock_.Advance(limits_.linger);
  Emit(1, 0, 0);
  writer_->FinishFrame(Offset(1), kNoTime);
  writer_->Flush();
  EXPECT_EQ(Read(0).size(), 1u) << "it was quiet before";
  Emit(2, 0, 0);
  writer_->FinishFrame(Offset(2), kNoTime);
  writer_->Flush();
  EXPECT_EQ(Read(0).size(), 1u) << "more may come";
  clock_.Advance(limits_.linger);
  writer_->Tick();
  EXPECT_EQ(Read(0).size(), 2u);
}

TEST_F(SegmentWriterTest, ACommitWaitsForWhatItCoversAndForNothingElse) {
  Begin();
  bus_->HoldAcks();
  Emit(5, 0, 0);
  writer_->FinishFrame(Offset(5), kNoTime);
  EXPECT_TRUE(writer_->AckedUpTo(Offset(4)));
  EXPECT_FALSE(writer_->AckedUpTo(Offset(5))) << "not sent";
  writer_->FlushAll();
  Emit(9, 0, 1);
  writer_->FinishFrame(Offset(9), kNoTime);
  writer_->FlushAll();
  EXPECT_FALSE(writer_->AckedUpTo(Offset(5))) << "sent, not acknowledged";
  bus_->ReleaseAcks(1);
  TakeOutcomes();
  EXPECT_TRUE(writer_->AckedUpTo(Offset(8)));
  EXPECT_FALSE(writer_->AckedUpTo(Offset(9)));
}

TEST_F(SegmentWriterTest, GoesOnBehindTheMarksOfTheCommit) {
  DownstreamMarks marks(kRoutes);
  marks[0].mark = {7, 2};
  marks[0].records = 40;
  Begin(marks, Offset(6));
  Emit(7, 0, 0);
  Emit(7, 1, 1);
  Emit(7, 2, 0);
  writer_->FinishFrame(Offset(7), kNoTime);
  writer_->FlushAll();
  EXPECT_THAT(Read(0)[0].labels, testing::ElementsAre("7.2"));
  EXPECT_EQ(Read(0)[0].header.prev, (Mark{7, 2}));
  EXPECT_EQ(Read(0)[0].header.records, 41u);
  EXPECT_THAT(Read(1)[0].labels, testing::ElementsAre("7.1"));
}

TEST_F(SegmentWriterTest, TheCommitSaysBehindWhichLabelEachPartitionStands) {
  Begin();
  Emit(3, 0, 0);
  Emit(3, 1, 1);
  Emit(3, 2, 1);
  writer_->FinishFrame(Offset(3), kNoTime);
  CommitRow row;
  writer_->FillCommitRow(&row);
  const auto marks = DecodeDownstreamMarks(row.downstream_marks);
  ASSERT_TRUE(marks.ok()) << marks.status();
  EXPECT_EQ((*marks)[0].mark, (Mark{3, 1}));
  EXPECT_EQ((*marks)[1].mark, (Mark{3, 3}));
  EXPECT_EQ((*marks)[1].records, 2u);
  EXPECT_EQ(row.epoch, Epoch(2));
}

TEST_F(SegmentWriterTest, AFullStreamTakesTheRoomAndLosesNothing) {
  limits_.max_unconfirmed_bytes = 2'000;
  Begin();
  bus_->RefuseAppends(absl::ResourceExhaustedError("maximum bytes exceeded"));
  uint64_t offset = 0;
  while (writer_->HasRoom()) {
    ASSERT_LT(offset, 1'000u) << "nothing bounds it";
    Emit(++offset, 0, 0);
    writer_->FinishFrame(Offset(offset), kNoTime);
    writer_->FlushAll();
    TakeOutcomes();
  }
  bus_->RefuseAppends(absl::OkStatus());
  for (int i = 0; i < 100 && !writer_->AckedUpTo(Offset(offset)); ++i) {
    clock_.Advance(absl::Seconds(1));
    writer_->Tick();
    TakeOutcomes();
  }
  EXPECT_TRUE(writer_->HasRoom());
  std::vector<std::string> labels, expected;
  Mark mark;
  for (const Crossed& message : Read(0)) {
    if (message.header.prev > mark || message.header.upto <= mark) continue;
    mark = message.header.upto;
    labels.insert(labels.end(), message.labels.begin(), message.labels.end());
  }
  for (uint64_t n = 1; n <= offset; ++n) expected.push_back(StrCat(n, ".0"));
  EXPECT_EQ(labels, expected);
}

TEST_F(SegmentWriterTest, TheEndGoesToEveryPartitionBehindEverythingElse) {
  Begin();
  Emit(1, 0, 1);
  writer_->FinishFrame(Offset(1), kEndOfTime);
  writer_->FinishInput();
  EXPECT_FALSE(writer_->end_acked());
  TakeOutcomes();
  EXPECT_TRUE(writer_->end_acked());
  ASSERT_EQ(Read(0).size(), 1u);
  EXPECT_EQ(Read(0)[0].header.kind, FrameKind::kEnd);
  ASSERT_EQ(Read(1).size(), 2u);
  EXPECT_EQ(Read(1)[1].header.kind, FrameKind::kEnd);
  EXPECT_EQ(Read(1)[0].watermark_ms, kNoTime) << "the end of the input is no time";
}

TEST_F(SegmentWriterTest, AStreamThatIsGoneIsNoReasonToWait) {
  Begin();
  broker_.DeleteStream(InputStream("j", SegmentId(1), PartitionId(0)));
  bus_->RefuseAppends(absl::NotFoundError("no stream"));
  Emit(1, 0, 0);
  writer_->FinishFrame(Offset(1), kNoTime);
  writer_->FlushAll();
  TakeOutcomes();
  EXPECT_FALSE(writer_->status().ok());
  EXPECT_FALSE(writer_->HasRoom());
}

}  // namespace
}  // namespace millrace
