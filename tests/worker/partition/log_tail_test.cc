#include "worker/partition/log_tail.h"

#include <gtest/gtest.h>

#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

constexpr char kUid[] = "0123456789abcdef";

class LogTailTest : public testing::Test {
 protected:
  LogTailTest() {
    StreamConfig config;
    config.name = "s";
    config.subjects = {"s"};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  void Append(uint64_t epoch, Mark prev, Mark upto, const std::string& uid = kUid) {
    const std::string header =
        FormatMessageHeader({FrameKind::kResults, uid, "0.0", Epoch(epoch), prev, upto, 0});
    AppendRequest request;
    request.subject = "s";
    request.header = header;
    EXPECT_TRUE(bus_->AppendAndWait(request).ok());
  }
  absl::StatusOr<LogTail> Read(uint64_t first_sequence) {
    return ReadLogTail(*bus_, clock_, {"s", first_sequence, true}, WriterCursors(kUid),
                       [&](const Message& message, const MessageHeader&) {
                         taken_.push_back(message.sequence);
                         return absl::OkStatus();
                       });
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  std::vector<uint64_t> taken_;
};

TEST_F(LogTailTest, CountsWhatALaterEpochLeftStanding) {
  Append(1, {0, 0}, {1, 0});
  Append(2, {1, 0}, {2, 0});
  Append(1, {1, 0}, {3, 0});                      // a zombie's
  Append(2, {2, 0}, {9, 0}, "ffffffffffffffff");  // another job's
  const auto tail = Read(1);
  ASSERT_TRUE(tail.ok()) << tail.status();
  EXPECT_EQ(taken_, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(tail->last_sequence, 4u);
  EXPECT_EQ(tail->cursors.Get("0.0").mark, (Mark{2, 0}));
}

TEST_F(LogTailTest, NothingNewIsATailLikeAnyOther) {
  Append(1, {0, 0}, {1, 0});
  const auto tail = Read(2);
  ASSERT_TRUE(tail.ok()) << tail.status();
  EXPECT_EQ(tail->last_sequence, 1u);
  EXPECT_TRUE(taken_.empty());
}

TEST_F(LogTailTest, RefusesAStreamThatEndsBeforeWhatWasSeen) {
  Append(1, {0, 0}, {1, 0});
  EXPECT_TRUE(absl::IsDataLoss(Read(5).status()));
}

TEST_F(LogTailTest, SaysThatThereIsNoSuchStream) {
  broker_.DeleteStream("s");
  EXPECT_TRUE(absl::IsNotFound(Read(1).status()));
}

}  // namespace
}  // namespace millrace
