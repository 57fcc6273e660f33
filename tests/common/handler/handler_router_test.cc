#include "common/handler/handler_router.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using testing::HasSubstr;

TEST(HandlerRouterTest, ASocketFileHasOneOwnerAtATime) {
  const TempFolder folder("router");
  const std::string endpoint = "ipc://" + folder.path() + "/s.sock";
  auto first = HandlerRouter::Bind(endpoint);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = HandlerRouter::Bind(endpoint);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another stage or process does"));
  first->reset();
  EXPECT_TRUE(HandlerRouter::Bind(endpoint).ok());
}

TEST(HandlerRouterTest, AFolderThatIsMissingIsNamed) {
  const auto router = HandlerRouter::Bind("ipc:///nowhere/at/all/s.sock");
  EXPECT_THAT(std::string(router.status().message()), HasSubstr("/nowhere/at/all/s.sock.lock: No such file"));
}

TEST(HandlerRouterTest, AWaitEndsWhenItIsWoken) {
  const TempFolder folder("router");
  auto router = HandlerRouter::Bind("ipc://" + folder.path() + "/s.sock");
  ASSERT_TRUE(router.ok());
  (*router)->Wake();
  HandlerRouter::Incoming message;
  EXPECT_FALSE((*router)->Receive(absl::Minutes(1), &message));
}

TEST(HandlerRouterTest, WhoIsNotThereCannotBeSentTo) {
  const TempFolder folder("router");
  auto router = HandlerRouter::Bind("ipc://" + folder.path() + "/s.sock");
  ASSERT_TRUE(router.ok());
  EXPECT_FALSE((*router)->Send("nobody", "heartbeat", "\x80"));
}

}  // namespace
}  // namespace millrace
