#include "worker/runtime/pull_loop.h"

#include <gtest/gtest.h>

#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"
#include "worker/partition/cookie.h"

namespace millrace {
namespace {

constexpr uint32_t kLanes = 2;

class PullLoopTest : public testing::Test {
 protected:
  PullLoopTest() {
    for (const char* name : {"s0", "s1"}) {
      StreamConfig config;
      config.name = name;
      config.subjects = {name};
      EXPECT_TRUE(bus_->CreateStream(config).ok());
    }
  }
  ReaderId Open(uint32_t lane, const std::string& stream) {
    ReaderOptions options;
    options.stream = stream;
    return loop_.OpenReader(lane, options);
  }
  void Append(const std::string& subject, uint64_t cookie) {
    AppendRequest request;
    request.subject = subject;
    request.payload = "x";
    request.cookie = cookie;
    EXPECT_TRUE(bus_->Append(request).ok());
  }
  size_t Count(uint32_t lane, BusEvent::Type type) const {
    size_t count = 0;
    for (const BusEvent& event : came_[lane]) count += event.type == type ? 1 : 0;
    return count;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  std::vector<BusEvent> came_[kLanes];
  PullLoop loop_{*bus_, kLanes, [this](uint32_t lane, LaneEvent event) {
                   for (BusEvent& e : std::get<BusEvents>(event).events) came_[lane].push_back(std::move(e));
                 }};
};

TEST_F(PullLoopTest, HandsEachLaneTheMessagesOfItsReadersAndTheAcksOfItsAppends) {
  Open(0, "s0");
  Open(1, "s1");
  Append("s0", MakeInstance(7, /*lane=*/1) << kCookieInstanceShift | 1);
  loop_.Step(absl::ZeroDuration());
  EXPECT_EQ(Count(0, BusEvent::Type::kMessage), 1u);
  EXPECT_EQ(Count(1, BusEvent::Type::kMessage), 0u);
  EXPECT_EQ(Count(0, BusEvent::Type::kAppended), 0u);
  EXPECT_EQ(Count(1, BusEvent::Type::kAppended), 1u);
}

TEST_F(PullLoopTest, DropsWhatComesForAReaderThatWasClosed) {
  const ReaderId reader = Open(0, "s0");
  Append("s0", 0);
  loop_.CloseReader(reader);
  loop_.Step(absl::ZeroDuration());
  EXPECT_TRUE(came_[0].empty());
}

TEST_F(PullLoopTest, TellsEveryLaneThatTheConnectionIsBack) {
  bus_->Disconnect();
  bus_->Reconnect();
  loop_.Step(absl::ZeroDuration());
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(Count(lane, BusEvent::Type::kReconnected), 1u) << lane;
  }
}

}  // namespace
}  // namespace millrace
