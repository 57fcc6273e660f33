// What bus.h promises of streams and appends.
#include "tests/common/bus/bus_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/strings.h"
#include "tests/support/bus_events.h"

namespace millrace {
namespace {

INSTANTIATE_TEST_SUITE_P(
    All, BusContract,
    testing::Values(
        BusKind{"Memory", +[]() -> std::unique_ptr<World> { return std::make_unique<MemoryWorld>(); }},
        BusKind{"Nats", +[]() -> std::unique_ptr<World> { return std::make_unique<NatsWorld>(); }}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(BusContract, TakesTheSameStreamTwiceAndRefusesAnotherOfItsName) {
  const absl::StatusOr<StreamInfo> made = bus_->CreateStream(Config());
  ASSERT_TRUE(made.ok()) << made.status();
  const absl::StatusOr<StreamInfo> again = bus_->CreateStream(Config());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(made->created_ns, 0);
  EXPECT_EQ(made->created_ns, again->created_ns);
  EXPECT_EQ(again->config.description, "millrace 1");
  StreamConfig other = Config();
  other.description = "millrace 2";
  EXPECT_TRUE(absl::IsAlreadyExists(bus_->CreateStream(other).status()));
  EXPECT_THAT(*bus_->ListStreams(), testing::ElementsAre("mr-j-0-0"));
}

TEST_P(BusContract, GivesAStreamMadeAnewAnotherIdentity) {
  const int64_t first = bus_->CreateStream(Config())->created_ns;
  ASSERT_TRUE(bus_->DeleteStream("mr-j-0-0").ok());
  EXPECT_TRUE(absl::IsNotFound(bus_->DeleteStream("mr-j-0-0")));
  EXPECT_TRUE(absl::IsNotFound(bus_->GetStream("mr-j-0-0").status()));
  EXPECT_NE(bus_->CreateStream(Config())->created_ns, first);
}

TEST_P(BusContract, PurgesAStreamUpToASequenceThatStaysUsed) {
  MakeStream();
  for (const char* payload : {"one", "two", "three"}) Put(payload);
  ASSERT_TRUE(bus_->PurgeStream("mr-j-0-0", 2).ok());
  EXPECT_TRUE(absl::IsNotFound(bus_->GetMessage("mr-j-0-0", 2).status()));
  EXPECT_EQ(bus_->GetMessage("mr-j-0-0", 3)->payload, "three");
  ASSERT_TRUE(bus_->PurgeStream("mr-j-0-0", 3).ok());
  EXPECT_EQ(bus_->GetStream("mr-j-0-0")->messages, 0u);
  EXPECT_EQ(Put("four"), 4u);
  EXPECT_TRUE(absl::IsNotFound(bus_->PurgeStream("mr-j-none", 1)));
}

TEST_P(BusContract, ReadsBackWhatWasAppended) {
  MakeStream();
  EXPECT_EQ(Put("one", "1 d u in 1 0.0 3.0 1"), 1u);
  EXPECT_EQ(Put(std::string("t\0wo", 4)), 2u);
  const absl::StatusOr<Message> one = bus_->GetMessage("mr-j-0-0", 1);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->header, "1 d u in 1 0.0 3.0 1");
  EXPECT_EQ(one->payload, "one");
  EXPECT_EQ(one->subject, "mr.j.0.0");
  EXPECT_GT(one->time_ns, 0);
  const absl::StatusOr<Message> last = bus_->GetLastMessage("mr-j-0-0", "mr.j.0.0");
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->sequence, 2u);
  EXPECT_EQ(last->payload, std::string("t\0wo", 4));
  EXPECT_EQ(last->header, "");
  EXPECT_TRUE(absl::IsNotFound(bus_->GetMessage("mr-j-0-0", 3).status()));
  const absl::StatusOr<StreamInfo> info = bus_->GetStream("mr-j-0-0");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->messages, 2u);
  EXPECT_EQ(info->first_sequence, 1u);
  EXPECT_EQ(info->last_sequence, 2u);
}

TEST_P(BusContract, StoresAnIdOnce) {
  StreamConfig config = Config();
  config.duplicate_window = absl::Minutes(2);
  ASSERT_TRUE(bus_->CreateStream(config).ok());
  AppendRequest request;
  request.subject = "mr.j.0.0";
  request.payload = "x";
  request.message_id = "a";
  EXPECT_EQ(*bus_->AppendAndWait(request), 1u);
  EXPECT_EQ(*bus_->AppendAndWait(request), 1u);
  EXPECT_EQ(bus_->GetStream("mr-j-0-0")->messages, 1u);
}

TEST_P(BusContract, FullStreamRefuses) {
  StreamConfig config = Config();
  config.max_bytes = 4096;
  ASSERT_TRUE(bus_->CreateStream(config).ok());
  Put(std::string(3000, 'x'));
  ASSERT_TRUE(Send(*bus_, std::string(3000, 'x'), 7).ok());
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.cookie, 7u);
  EXPECT_TRUE(absl::IsResourceExhausted(event.status)) << event.status;
}

TEST_P(BusContract, RefusesWhatIsLargerThanTheServerTakes) {
  MakeStream();
  EXPECT_TRUE(absl::IsInvalidArgument(Send(*bus_, std::string((1 << 20) + 1, 'x'), 1)));
}

TEST_P(BusContract, AppendWithoutAStreamIsUnavailable) {
  ASSERT_TRUE(Send(*bus_, "x", 5).ok());
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kAppended);
  EXPECT_EQ(event.cookie, 5u);
  EXPECT_TRUE(absl::IsUnavailable(event.status)) << event.status;
}

TEST_P(BusContract, PipelinedAppendsFailWhereForeignOnesTookTheirPlaces) {
  MakeStream();
  Put("zero");
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(Send(*bus_, "mine", i, i).ok());
  for (uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(NextEvent(*bus_).sequence, i + 1);
  const std::unique_ptr<Bus> stranger = world_->Connect();
  AppendRequest foreign;
  foreign.subject = "mr.j.0.0";
  foreign.payload = "foreign";
  for (uint64_t i = 5; i <= 7; ++i) ASSERT_EQ(*stranger->AppendAndWait(foreign), i);
  for (uint64_t i = 4; i <= 6; ++i) ASSERT_TRUE(Send(*bus_, "mine", i, i).ok());
  for (uint64_t i = 4; i <= 6; ++i) {
    const BusEvent event = NextEvent(*bus_);
    EXPECT_EQ(event.cookie, i);
    EXPECT_TRUE(absl::IsFailedPrecondition(event.status)) << event.status;
  }
  EXPECT_EQ(bus_->GetStream("mr-j-0-0")->last_sequence, 7u);
}

// Why an expected sequence alone is no fence: the reader's rules have to drop what slips in.
TEST_P(BusContract, PipelinedAppendSlipsInBehindASingleForeignOne) {
  MakeStream();
  Put("foreign");
  for (uint64_t i = 0; i <= 1; ++i) ASSERT_TRUE(Send(*bus_, "mine", i, i).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(NextEvent(*bus_).status));
  EXPECT_TRUE(NextEvent(*bus_).status.ok());
}

TEST_P(BusContract, ExpectedSequenceOfZeroMeansAnEmptyStream) {
  MakeStream();
  ASSERT_TRUE(Send(*bus_, "first", 1, 0).ok());
  EXPECT_TRUE(NextEvent(*bus_).status.ok());
  ASSERT_TRUE(Send(*bus_, "second", 2, 0).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(NextEvent(*bus_).status));
}

}  // namespace
}  // namespace millrace
