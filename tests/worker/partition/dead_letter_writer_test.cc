#include "worker/partition/dead_letter_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"
#include "worker/partition/cookie.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr uint64_t kResultsOfThatPartition = uint64_t{1} << kCookieInstanceShift;
constexpr uint64_t kLetterCookieBase = kResultsOfThatPartition | kDeadLetterCookie;

class DeadLetterWriterTest : public testing::Test {
 protected:
  DeadLetterWriterTest() {
    StreamConfig config;
    config.name = DeadLetterStream(key_.job);
    config.subjects = {DeadLetterSubjects(key_.job)};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  void Add(uint64_t offset) {
    DeadLetter letter;
    letter.record = 2;
    letter.key = "k";
    letter.value = "v";
    letter.error = "no such field";
    letter.attempts = 1;
    writer_.Add(Offset(offset), letter);
  }
  void HandleAll() {
    std::vector<BusEvent> events;
    bus_->Poll(absl::ZeroDuration(), 100, &events);
    for (const BusEvent& event : events) {
      if (event.type == BusEvent::Type::kAppended) writer_.HandleAppended(event.cookie, event.status);
    }
  }
  uint64_t Stored() { return bus_->GetStream(DeadLetterStream(key_.job))->messages; }

  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(3)};
  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  DeadLetterWriter writer_{key_, *bus_, clock_, kLetterCookieBase};
};

TEST_F(DeadLetterWriterTest, AFrameIsAckedWhenAllOfItsLettersAre) {
  bus_->HoldAcks();
  Add(5);
  Add(7);
  EXPECT_TRUE(writer_.AckedUpTo(Offset(4)));
  EXPECT_FALSE(writer_.AckedUpTo(Offset(5)));
  bus_->ReleaseAcks(1);
  HandleAll();
  EXPECT_TRUE(writer_.AckedUpTo(Offset(6)));
  EXPECT_FALSE(writer_.AckedUpTo(Offset(7)));
}

TEST_F(DeadLetterWriterTest, SendsWhatWasLostAgainUnderTheSameId) {
  bus_->HoldAppends();
  Add(5);
  bus_->DropHeldAppends();
  bus_->ReleaseAppends();
  HandleAll();
  EXPECT_FALSE(writer_.idle());
  clock_.Advance(kDeadLetterAckDeadline + absl::Seconds(1));
  writer_.Tick();
  HandleAll();
  EXPECT_TRUE(writer_.idle());
  EXPECT_EQ(Stored(), 1u);
  const auto letter = bus_->GetMessage(DeadLetterStream(key_.job), 1);
  ASSERT_TRUE(letter.ok()) << letter.status();
  EXPECT_THAT(letter->payload, HasSubstr(R"("id":"0.3.5.2")"));
  EXPECT_THAT(letter->payload, HasSubstr(R"("error":"no such field")"));
}

TEST_F(DeadLetterWriterTest, LetsThePartitionWaitWhenTooManyAreUnderWay) {
  bus_->HoldAcks();
  for (uint64_t offset = 1; offset <= kMaxDeadLettersInFlight; ++offset) {
    EXPECT_TRUE(writer_.HasRoom());
    Add(offset);
  }
  EXPECT_FALSE(writer_.HasRoom());
}

TEST_F(DeadLetterWriterTest, LeavesTheCookiesOfOthersToThem) {
  EXPECT_FALSE(writer_.HandleAppended(kResultsOfThatPartition | 1, absl::OkStatus()));
}

}  // namespace
}  // namespace millrace
