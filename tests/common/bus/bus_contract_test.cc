// What bus.h promises, asked of both buses that keep it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/bus/nats_bus.h"
#include "common/clock.h"
#include "common/strings.h"
#include "tests/support/bus_events.h"
#include "tests/support/memory_bus.h"
#include "tests/support/nats_server.h"

namespace millrace {
namespace {

class World {
 public:
  virtual ~World() = default;
  virtual std::unique_ptr<Bus> Connect() = 0;
};

class MemoryWorld : public World {
 public:
  std::unique_ptr<Bus> Connect() override { return broker_.Connect(); }

 private:
  MemoryBroker broker_{SystemClock()};
};

class NatsWorld : public World {
 public:
  NatsWorld() : server_(NatsServer::Start()) {}
  std::unique_ptr<Bus> Connect() override {
    NatsOptions options;
    options.url = server_->url();
    auto bus = ConnectNats(options, SystemClock());
    EXPECT_TRUE(bus.ok()) << bus.status();
    return bus.ok() ? *std::move(bus) : nullptr;
  }

 private:
  std::unique_ptr<NatsServer> server_;
};

struct Kind {
  const char* name;
  std::unique_ptr<World> (*make)();
};

class BusContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    bus_ = world_->Connect();
    ASSERT_NE(bus_, nullptr);
  }

  StreamConfig Config() const {
    StreamConfig config;
    config.name = "mr-j-0-0";
    config.subjects = {"mr.j.0.0"};
    config.description = "millrace 1";
    return config;
  }
  void MakeStream() { ASSERT_TRUE(bus_->CreateStream(Config()).ok()); }
  uint64_t Put(std::string_view payload, std::string_view header = "") {
    AppendRequest request;
    request.subject = "mr.j.0.0";
    request.header = header;
    request.payload = payload;
    const absl::StatusOr<uint64_t> sequence = bus_->AppendAndWait(request);
    EXPECT_TRUE(sequence.ok()) << sequence.status();
    return sequence.value_or(0);
  }
  absl::Status Send(Bus& bus, std::string_view payload, uint64_t cookie,
                    std::optional<uint64_t> expected = {}) {
    AppendRequest request;
    request.subject = "mr.j.0.0";
    request.payload = payload;
    request.cookie = cookie;
    request.expected_last_sequence = expected;
    return bus.Append(request);
  }
  ReaderId Read(uint64_t start, ReaderOptions options = {}) {
    options.stream = "mr-j-0-0";
    options.start_sequence = start;
    return bus_->OpenReader(options);
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<Bus> bus_;
};

INSTANTIATE_TEST_SUITE_P(
    All, BusContract,
    testing::Values(Kind{"Memory",
                         +[]() -> std::unique_ptr<World> { return std::make_unique<MemoryWorld>(); }},
                    Kind{"Nats", +[]() -> std::unique_ptr<World> { return std::make_unique<NatsWorld>(); }}),
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

TEST_P(BusContract, ReaderBeginsWhereItWasToldAndFollows) {
  MakeStream();
  for (const char* payload : {"1", "2", "3"}) Put(payload, "h");
  const ReaderId reader = Read(2);
  EXPECT_EQ(NextEvent(*bus_).message.payload, "2");
  const BusEvent third = NextEvent(*bus_);
  EXPECT_EQ(third.reader, reader);
  EXPECT_EQ(third.message.sequence, 3u);
  EXPECT_EQ(third.message.header, "h");
  EXPECT_EQ(third.message.subject, "mr.j.0.0");
  EXPECT_GT(third.message.time_ns, 0);
  Put("4");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "4");
}

TEST_P(BusContract, ReaderAtTheEndWaitsForWhatComes) {
  MakeStream();
  Put("1");
  Read(2);
  Put("2");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "2");
}

TEST_P(BusContract, ReaderOfHeadersGetsNoPayloads) {
  MakeStream();
  Put("payload", "h");
  ReaderOptions options;
  options.headers_only = true;
  Read(1, options);
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.message.header, "h");
  EXPECT_EQ(event.message.payload, "");
}

TEST_P(BusContract, ReaderGetsNoMoreThanItsWindow) {
  MakeStream();
  for (int i = 0; i < 20; ++i) Put("x");
  ReaderOptions options;
  options.window_messages = 6;
  const ReaderId reader = Read(1, options);
  EXPECT_EQ(PollMessages(*bus_, 6).size(), 6u);
  EXPECT_TRUE(StaysQuiet(*bus_));
  bus_->Grant(reader, 4, 4);
  EXPECT_EQ(PollMessages(*bus_, 4).size(), 4u);
  EXPECT_TRUE(StaysQuiet(*bus_));
  bus_->Grant(reader, 6, 6);
  EXPECT_EQ(PollMessages(*bus_, 6).size(), 6u);
}

TEST_P(BusContract, ReaderGetsNoMoreBytesThanItsWindow) {
  MakeStream();
  for (int i = 0; i < 10; ++i) Put(std::string(10'000, 'x'));
  ReaderOptions options;
  options.window_bytes = 35'000;
  const ReaderId reader = Read(1, options);
  EXPECT_EQ(PollMessages(*bus_, 3).size(), 3u);
  EXPECT_TRUE(StaysQuiet(*bus_));
  bus_->Grant(reader, 3, 30'000);
  EXPECT_EQ(PollMessages(*bus_, 3).size(), 3u);
}

TEST_P(BusContract, MessageLargerThanTheWindowComesAlone) {
  MakeStream();
  Put(std::string(100'000, 'a'));
  Put(std::string(100'000, 'b'));
  ReaderOptions options;
  options.window_bytes = 1'000;
  const ReaderId reader = Read(1, options);
  EXPECT_EQ(NextEvent(*bus_).message.payload.front(), 'a');
  bus_->Grant(reader, 1, 100'000);
  EXPECT_EQ(NextEvent(*bus_).message.payload.front(), 'b');
}

TEST_P(BusContract, ReaderBehindTheEndSaysDataLoss) {
  MakeStream();
  Put("1");
  Read(3);
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsDataLoss(event.status)) << event.status;
}

TEST_P(BusContract, ReaderOfNoStreamSaysNotFound) {
  Read(1);
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsNotFound(event.status)) << event.status;
}

TEST_P(BusContract, ReaderThatAwaitsItsStreamBeginsWhenItIsMade) {
  ReaderOptions options;
  options.await_stream = true;
  Read(1, options);
  EXPECT_TRUE(StaysQuiet(*bus_));
  MakeStream();
  Put("1");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "1");
}

TEST_P(BusContract, ReaderSeesThatItsStreamIsGone) {
  MakeStream();
  Put("1");
  Read(1);
  EXPECT_EQ(NextEvent(*bus_).message.payload, "1");
  ASSERT_TRUE(bus_->DeleteStream("mr-j-0-0").ok());
  const BusEvent event = NextEvent(*bus_);
  EXPECT_EQ(event.type, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsNotFound(event.status)) << event.status;
}

TEST_P(BusContract, ClosedReaderIsSilent) {
  MakeStream();
  const ReaderId reader = Read(1);
  Put("1");
  EXPECT_EQ(NextEvent(*bus_).message.payload, "1");
  bus_->CloseReader(reader);
  Put("2");
  EXPECT_TRUE(StaysQuiet(*bus_));
}

TEST_P(BusContract, PollReturnsNoMoreThanItWasAskedFor) {
  MakeStream();
  for (int i = 0; i < 5; ++i) Put("x");
  Read(1);
  std::vector<BusEvent> events;
  while (events.empty()) EXPECT_LE(bus_->Poll(absl::Seconds(1), 2, &events), 2u);
  while (events.size() < 5) EXPECT_LE(bus_->Poll(absl::Seconds(1), 2, &events), 2u);
  for (uint64_t i = 0; i < 5; ++i) EXPECT_EQ(events[i].message.sequence, i + 1);
}

TEST_P(BusContract, WakeEndsAPollThatWaits) {
  std::thread waker([this] { bus_->Wake(); });
  std::vector<BusEvent> events;
  const absl::Time start = absl::Now();
  EXPECT_EQ(bus_->Poll(absl::Seconds(60), 10, &events), 0u);
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  waker.join();
}

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
