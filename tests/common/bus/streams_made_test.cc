#include "common/bus/streams_made.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/bus/nats_bus.h"
#include "common/clock.h"
#include "common/strings.h"
#include "tests/support/nats_server.h"

namespace millrace {
namespace {

TEST(StreamsMadeTest, WhatWasSeenHoldsForAWhileAndNotLonger) {
  StreamsMade made;
  EXPECT_FALSE(made.Has("S", absl::Seconds(5)));
  made.Note("S", absl::Seconds(5));
  EXPECT_TRUE(made.Has("S", absl::Seconds(5) + kStreamIsMadeFor - absl::Nanoseconds(1)));
  EXPECT_FALSE(made.Has("S", absl::Seconds(5) + kStreamIsMadeFor));
}

TEST(StreamsMadeTest, ADeletedOneIsNotThere) {
  StreamsMade made;
  made.Note("S", absl::Seconds(5));
  made.Forget("S");
  EXPECT_FALSE(made.Has("S", absl::Seconds(5)));
}

TEST(StreamsMadeTest, IsBounded) {
  StreamsMade made;
  for (size_t i = 0; i <= kMaxStreamsMade; ++i) made.Note(StrCat("S", i), absl::Seconds(5));
  EXPECT_FALSE(made.Has("S0", absl::Seconds(5)));
  EXPECT_TRUE(made.Has(StrCat("S", kMaxStreamsMade), absl::Seconds(5)));
}

// nats-server 2.9 dies of it when it is asked at the wrong moment.
TEST(NatsStreamsMadeTest, AStreamMayBeAskedForMessagesWhileItIsMade) {
  constexpr int kStreams = 200;
  const auto server = NatsServer::Start({});
  ASSERT_NE(server, nullptr);
  NatsOptions nats;
  nats.url = server->url();
  const auto maker = ConnectNats(nats, SystemClock());
  const auto reader = ConnectNats(nats, SystemClock());
  ASSERT_TRUE(maker.ok() && reader.ok());
  std::atomic<int> asked_for = 0;  // the stream of this number
  std::atomic<bool> over = false;
  std::thread asking([&] {
    while (!over) {
      const absl::Status status = (*reader)->GetLastMessage(StrCat("S", asked_for.load()), "x").status();
      EXPECT_TRUE(absl::IsNotFound(status)) << status;
      if (!absl::IsNotFound(status)) return;
    }
  });
  for (int i = 0; i < kStreams; ++i) {
    asked_for = i;
    StreamConfig config;
    config.name = StrCat("S", i);
    config.subjects = {StrCat("s", i)};
    const absl::Status made = (*maker)->CreateStream(config).status();
    EXPECT_TRUE(made.ok()) << made;
    if (!made.ok()) break;
  }
  over = true;
  asking.join();
}

}  // namespace
}  // namespace millrace
