#include "coordinator/service/api.h"

#include "common/value/value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

TEST(Api, AnswersAboutANameThatIsNoUtf8) {
  ManualClock clock;
  MemoryBroker broker(clock);
  const std::unique_ptr<MemoryBus> bus = broker.Connect();
  Metrics metrics;
  Board board;
  board.Show({std::make_shared<const ClusterSnapshot>(), /*knows_leader=*/true, bus.get()});
  const Api api(board, metrics, clock);
  const HttpResponse response = api.Answer({"/api/v1/status", {{"job", "\xff"}}});
  EXPECT_EQ(response.status, 404);
  EXPECT_TRUE(IsValidUtf8(response.body));
  EXPECT_THAT(response.body, HasSubstr("\uFFFD"));
}

}  // namespace
}  // namespace millrace
