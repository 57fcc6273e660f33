// What bus.h promises of keys, questions and the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/strings.h"
#include "tests/common/bus/bus_contract.h"
#include "tests/support/bus_events.h"

namespace millrace {
namespace {

TEST_P(BusContract, KeyIsMadeOnce) {
  ASSERT_TRUE(bus_->CreateBucket("mr-epochs").ok());
  ASSERT_TRUE(bus_->CreateBucket("mr-epochs").ok());
  EXPECT_TRUE(bus_->CreateKey("mr-epochs", "u.in.1", "a").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(bus_->CreateKey("mr-epochs", "u.in.1", "b").status()));
  EXPECT_TRUE(absl::IsAlreadyExists(bus_->CreateKey("mr-epochs", "u.in.1", "a").status()));
  const absl::StatusOr<KeyValue> key = bus_->GetKey("mr-epochs", "u.in.1");
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->value, "a");
}

TEST_P(BusContract, DeletedKeyCanBeMadeAgain) {
  ASSERT_TRUE(bus_->CreateBucket("b").ok());
  EXPECT_TRUE(absl::IsNotFound(bus_->GetKey("b", "k").status()));
  const absl::StatusOr<uint64_t> first = bus_->CreateKey("b", "k", "1");
  ASSERT_TRUE(bus_->DeleteKey("b", "k").ok());
  EXPECT_TRUE(absl::IsNotFound(bus_->GetKey("b", "k").status()));
  const absl::StatusOr<uint64_t> second = bus_->CreateKey("b", "k", "2");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_GT(*second, *first);
  EXPECT_GT(*bus_->PutKey("b", "k", "3"), *second);
  EXPECT_EQ(bus_->GetKey("b", "k")->value, "3");
}

TEST_P(BusContract, AKeyIsUpdatedOnlyAsItWasSeen) {
  ASSERT_TRUE(bus_->CreateBucket("b").ok());
  const absl::StatusOr<uint64_t> first = bus_->CreateKey("b", "k", "1");
  ASSERT_TRUE(first.ok());
  const absl::StatusOr<uint64_t> second = bus_->UpdateKey("b", "k", "2", *first);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_GT(*second, *first);
  EXPECT_TRUE(absl::IsAborted(bus_->UpdateKey("b", "k", "3", *first).status()));
  EXPECT_EQ(bus_->GetKey("b", "k")->value, "2");
  ASSERT_TRUE(bus_->DeleteKey("b", "k").ok());
  EXPECT_TRUE(absl::IsAborted(bus_->UpdateKey("b", "k", "4", *second).status()));
}

TEST_P(BusContract, RaceForAKeyHasOneWinner) {
  ASSERT_TRUE(bus_->CreateBucket("b").ok());
  std::vector<std::unique_ptr<Bus>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(world_->Connect());
  for (int round = 0; round < 5; ++round) {
    const std::string key = StrCat("term.", round);
    std::atomic<int> winners = 0;
    std::vector<std::thread> racers;
    for (int i = 0; i < 8; ++i) {
      racers.emplace_back([&, i] {
        const absl::StatusOr<uint64_t> made = clients[i]->CreateKey("b", key, StrCat("racer ", i));
        if (made.ok()) ++winners;
        EXPECT_TRUE(made.ok() || absl::IsAlreadyExists(made.status())) << made.status();
      });
    }
    for (std::thread& racer : racers) racer.join();
    EXPECT_EQ(winners, 1) << key;
  }
}

TEST_P(BusContract, ReaderOfABucketSkipsSupersededRevisionsAndSeesTombstones) {
  ASSERT_TRUE(bus_->CreateBucket("b").ok());
  ASSERT_TRUE(bus_->PutKey("b", "x", "1").ok());
  ASSERT_TRUE(bus_->PutKey("b", "x", "2").ok());
  ASSERT_TRUE(bus_->PutKey("b", "y", "3").ok());
  ASSERT_TRUE(bus_->DeleteKey("b", "y").ok());
  ReaderOptions options;
  options.stream = "KV_b";
  options.allow_gaps = true;
  bus_->OpenReader(options);
  const BusEvent x = NextEvent(*bus_);
  EXPECT_EQ(x.message.sequence, 2u);
  EXPECT_EQ(x.message.subject, "$KV.b.x");
  EXPECT_FALSE(x.message.tombstone);
  const BusEvent y = NextEvent(*bus_);
  EXPECT_EQ(y.message.sequence, 4u);
  EXPECT_TRUE(y.message.tombstone);
}

TEST_P(BusContract, OwnerAnswersARequest) {
  const std::unique_ptr<Bus> owner = world_->Connect();
  ASSERT_TRUE(owner
                  ->Serve("mr.rpc.1",
                          [&owner](Bus::Incoming incoming) {
                            EXPECT_TRUE(
                                owner->Reply(incoming.reply_to, StrCat("re: ", incoming.payload)).ok());
                          })
                  .ok());
  absl::StatusOr<std::string> answer = absl::UnavailableError("");
  // The subscription may reach the server after the first question.
  for (int i = 0; i < 1000 && absl::IsUnavailable(answer.status()); ++i) {
    answer = bus_->Request("mr.rpc.1", "hello", absl::Seconds(10));
  }
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "re: hello");
  EXPECT_TRUE(absl::IsUnavailable(bus_->Request("mr.rpc.nobody", "", absl::Seconds(10)).status()));
}

TEST_P(BusContract, ServerSaysWhatItIs) {
  const absl::StatusOr<ServerInfo> server = bus_->Server();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(server->jetstream);
  EXPECT_EQ(server->max_payload, 1 << 20);
  EXPECT_NE(server->version, "");
}

}  // namespace
}  // namespace millrace
