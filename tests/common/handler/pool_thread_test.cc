#include "common/handler/pool_thread.h"

#include <atomic>
#include <set>

#include "common/handler/messages.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class EchoCode final : public PoolCode {
 public:
  std::string Run(std::string_view batch) override { return "result of " + std::string(batch); }
};

HandlerRouter::Incoming Next(PoolThreads& threads) {
  HandlerRouter::Incoming message;
  while (!threads.Receive(absl::Seconds(10), &message)) {
  }
  return message;
}

TEST(PoolThreads, RegisterAtOnceAndStartWithTheirFirstBatch) {
  std::atomic<int> started = 0;
  PoolThreads::Options options;
  options.threads = 3;
  options.mode = HandlerMode::kStateless;
  options.make_code = [&] {
    ++started;
    return std::make_unique<EchoCode>();
  };
  PoolThreads threads(options, SystemThreads());
  std::set<std::string> peers;
  for (int i = 0; i < 3; ++i) {
    const HandlerRouter::Incoming message = Next(threads);
    ASSERT_EQ(message.frames.size(), 3U);
    const auto about = ReadRegister(message.frames[2]);
    ASSERT_TRUE(about.ok()) << about.status();
    EXPECT_EQ(about->mode, HandlerMode::kStateless);
    EXPECT_EQ(about->capacity, kPoolThreadCapacity);
    peers.insert(message.peer);
  }
  EXPECT_EQ(peers.size(), 3U);
  EXPECT_EQ(started, 0);
  EXPECT_TRUE(threads.Send("1", kHeartbeatMessage, "x"));
  EXPECT_TRUE(threads.Send("1", kBatchMessage, "a"));
  EXPECT_TRUE(threads.Send("1", kBatchMessage, "b"));
  for (const char* const expected : {"result of a", "result of b"}) {
    const HandlerRouter::Incoming result = Next(threads);
    EXPECT_EQ(result.peer, "1");
    EXPECT_EQ(result.frames[1], kResultMessage);
    EXPECT_EQ(result.frames[2], expected);
  }
  EXPECT_EQ(started, 1);
}

TEST(PoolThreads, AWaitEndsWhenItIsWoken) {
  PoolThreads threads({.threads = 0, .mode = HandlerMode::kKeyed, .make_code = {}}, SystemThreads());
  threads.Wake();
  HandlerRouter::Incoming message;
  EXPECT_FALSE(threads.Receive(absl::Hours(1), &message));
}

}  // namespace
}  // namespace millrace
