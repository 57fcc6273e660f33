#include "worker/partition/result_writer.h"

#include <gtest/gtest.h>

#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"
#include "worker/partition/cookie.h"

namespace millrace {
namespace {

constexpr uint64_t kResultCookieBase = uint64_t{1} << kCookieInstanceShift;

// One writer on a result stream; every FinishFrame gives one message, because one output fills it.
class ResultWriterTest : public testing::Test {
 protected:
  ResultWriterTest() {
    StreamConfig config;
    config.name = key_.result_stream();
    config.subjects = {key_.result_subject()};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }

  ResultWriter Writer(Epoch epoch, const LogTail& tail) {
    ResultWriterLimits limits;
    limits.max_message_bytes = 1;
    limits.max_in_flight = 4;
    return ResultWriter(key_, epoch, tail, limits, *bus_, clock_, kResultCookieBase);
  }
  LogTail Empty() const { return {WriterCursors(key_.uid), 0}; }

  static void Give(ResultWriter& writer, uint64_t frame) {
    RecordView record;
    record.key = "k";
    record.value = "v";
    record.offset = Offset(frame);
    writer.Emit(record);
    writer.FinishFrame(Offset(frame), kNoTime);
    writer.CheckInvariants();
  }
  void HandleAll(ResultWriter& writer) {
    std::vector<BusEvent> events;
    while (bus_->Poll(absl::ZeroDuration(), 1, &events) > 0) {
      const BusEvent event = std::move(events.back());
      events.clear();
      if (event.type == BusEvent::Type::kAppended)
        writer.HandleAppended(event.cookie, event.status, event.sequence);
      writer.CheckInvariants();
    }
  }
  // "prev-upto" of each message that the stream holds.
  std::vector<std::string> Stream() {
    std::vector<std::string> spans;
    const StreamInfo info = *bus_->GetStream(key_.result_stream());
    for (uint64_t sequence = 1; sequence <= info.last_sequence; ++sequence) {
      const MessageHeader header =
          *ParseMessageHeader(bus_->GetMessage(key_.result_stream(), sequence)->header);
      std::ostringstream span;
      span << header.prev << "-" << header.upto;
      spans.push_back(span.str());
    }
    return spans;
  }

  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(0)};
  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
};

TEST_F(ResultWriterTest, MessagesChainFromMarkToMark) {
  ResultWriter writer = Writer(Epoch(1), Empty());
  Give(writer, 1);
  Give(writer, 2);
  writer.Flush();
  HandleAll(writer);
  EXPECT_EQ(Stream(), (std::vector<std::string>{"0.0-1.1", "1.1-2.1"}));
  EXPECT_TRUE(writer.idle());
  EXPECT_EQ(writer.acked(), Mark::AfterFrame(Offset(2)));
}

TEST_F(ResultWriterTest, WhatTheStreamAlreadyHoldsIsPassedOver) {
  LogTail tail = Empty();
  tail.cursors.Restore(key_.writer(), {Epoch(1), Mark{3, 0}, 2, false});
  ResultWriter writer = Writer(Epoch(2), tail);
  Give(writer, 2);
  Give(writer, 3);
  writer.Flush();
  HandleAll(writer);
  EXPECT_EQ(Stream(), std::vector<std::string>{"3.0-3.1"});
}

TEST_F(ResultWriterTest, AcknowledgesNothingBehindAnAppendThatIsUnderWay) {
  ResultWriter writer = Writer(Epoch(1), Empty());
  bus_->HoldAcks();
  Give(writer, 1);
  Give(writer, 2);
  HandleAll(writer);
  EXPECT_EQ(writer.acked(), Mark{});
  bus_->ReleaseAcks(1);
  HandleAll(writer);
  EXPECT_EQ(writer.acked(), (Mark{1, 1}));
}

TEST_F(ResultWriterTest, StopsTakingOutputsWhenTheWindowIsFull) {
  ResultWriter writer = Writer(Epoch(1), Empty());
  bus_->HoldAcks();
  for (uint64_t frame = 1; frame <= 4; ++frame) {
    EXPECT_TRUE(writer.HasRoom());
    Give(writer, frame);
  }
  EXPECT_FALSE(writer.HasRoom());
}

TEST_F(ResultWriterTest, SendsAgainFromTheTailAfterLostAppends) {
  ResultWriter writer = Writer(Epoch(1), Empty());
  Give(writer, 1);
  HandleAll(writer);
  bus_->HoldAppends();
  Give(writer, 2);
  Give(writer, 3);
  bus_->DropHeldAppends();
  clock_.Advance(ResultWriterLimits{}.ack_deadline + absl::Seconds(1));
  writer.Tick();
  ASSERT_TRUE(writer.WantsTail());
  bus_->ReleaseAppends();

  const std::unique_ptr<MemoryBus> opener = broker_.Connect();
  const LogTail acked = writer.acked_tail();
  const auto tail =
      ReadLogTail(*opener, clock_, {key_.result_stream(), acked.last_sequence + 1, true}, acked.cursors);
  ASSERT_TRUE(tail.ok()) << tail.status();
  writer.HandleTail(*tail);
  HandleAll(writer);
  EXPECT_EQ(Stream(), (std::vector<std::string>{"0.0-1.1", "1.1-2.1", "2.1-3.1"}));
  EXPECT_TRUE(writer.idle());
}

TEST_F(ResultWriterTest, IsOverWhenTheTailHoldsALaterEpoch) {
  ResultWriter writer = Writer(Epoch(1), Empty());
  LogTail tail = Empty();
  tail.cursors.Restore(key_.writer(), {Epoch(2), Mark{}, 0, false});
  tail.last_sequence = 1;
  writer.HandleTail(tail);
  EXPECT_EQ(writer.condition(), ResultWriter::Condition::kFenced);
  EXPECT_FALSE(writer.HasRoom());
}

}  // namespace
}  // namespace millrace
