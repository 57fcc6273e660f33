#include "common/bus/nats_reader.h"

#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kCreatedAt[] = "2001-09-09T01:46:40Z";

// A reader and the server's side of its conversation, by hand.
class NatsReaderTest : public testing::Test, private ReaderPort {
 protected:
  struct Sent {
    std::string subject;
    nlohmann::json payload;
  };

  void Start(ReaderOptions options = {}) {
    options.stream = "S";
    options.name_hint = "p.0 >";
    NatsReader::Environment environment;
    environment.id = 7;
    environment.inbox = "_INBOX.x";
    environment.name_suffix = "n";
    environment.port = this;
    reader_ = std::make_unique<NatsReader>(options, environment);
    reader_->Start(now_);
  }
  // Through both questions to the first pull.
  void StartReading(ReaderOptions options = {}, uint64_t last = 100) {
    Start(std::move(options));
    AnswerInfo(1, last);
    AnswerCreated();
  }
  void Control(const std::string& payload) {
    reader_->OnControl(reader_->attempt(), payload, now_, &events_);
  }
  void AnswerInfo(uint64_t first, uint64_t last, const std::string& created = kCreatedAt) {
    Control(
        nlohmann::json{{"created", created}, {"state", {{"first_seq", first}, {"last_seq", last}}}}.dump());
  }
  void AnswerCreated() { Control(R"({"name":"c"})"); }
  void Deliver(uint64_t stream_sequence, uint64_t consumer_sequence, const std::string& payload = "x") {
    Message message;
    message.payload = payload;
    const AckSubject ack = {"S", "c", stream_sequence, consumer_sequence, 5};
    reader_->OnMessage(reader_->attempt(), ack, std::move(message), now_, &events_);
  }
  void Pass(absl::Duration time) {
    now_ += time;
    reader_->Tick(now_);
  }
  std::vector<uint64_t> Sequences() const {
    std::vector<uint64_t> sequences;
    for (const BusEvent& event : events_) {
      if (event.type == BusEvent::Type::kMessage) sequences.push_back(event.message.sequence);
    }
    return sequences;
  }
  // The error with which it closed; OK: it has not.
  absl::Status Error() const {
    return events_.empty() || events_.back().type != BusEvent::Type::kReaderError ? absl::OkStatus()
                                                                                  : events_.back().status;
  }
  size_t SentTo(std::string_view prefix) const {
    return static_cast<size_t>(std::count_if(
        sent_.begin(), sent_.end(), [&](const Sent& sent) { return sent.subject.starts_with(prefix); }));
  }

  absl::Duration now_ = absl::Seconds(100);
  std::unique_ptr<NatsReader> reader_;
  std::vector<Sent> sent_;
  std::vector<BusEvent> events_;

 private:
  void Send(const std::string& subject, const std::string& /*reply_to*/,
            const std::string& payload) override {
    sent_.push_back({subject, nlohmann::json::parse(payload.empty() ? "null" : payload)});
  }
};

constexpr char kInfo[] = "$JS.API.STREAM.INFO.S";
constexpr char kCreate[] = "$JS.API.CONSUMER.CREATE.S.";
constexpr char kPull[] = "$JS.API.CONSUMER.MSG.NEXT.S.";
constexpr char kDelete[] = "$JS.API.CONSUMER.DELETE.S.";

// Of such a stream 2.9 says that it was created in the year 1: no time to remember it by.
TEST_F(NatsReaderTest, WaitsForAStreamThatIsJustBeingMade) {
  Start();
  AnswerInfo(0, 0, "0001-01-01T00:00:00Z");
  EXPECT_EQ(SentTo("$JS.API.CONSUMER"), 0u);
  EXPECT_THAT(events_, IsEmpty());
  Pass(absl::Seconds(10));
  AnswerInfo(0, 0);
  EXPECT_EQ(SentTo("$JS.API.CONSUMER"), 1u);
  EXPECT_TRUE(Error().ok()) << Error();
}

TEST_F(NatsReaderTest, LooksAtTheStreamMakesAConsumerOfItsOwnAndPulls) {
  ReaderOptions options;
  options.start_sequence = 5;
  Start(options);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].subject, kInfo);
  AnswerInfo(1, 10);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_THAT(sent_[1].subject, StartsWith(StrCat(kCreate, "p_0")));
  EXPECT_EQ(sent_[1].payload["config"]["opt_start_seq"], 5);
  EXPECT_EQ(sent_[1].payload["config"]["ack_policy"], "none");
  AnswerCreated();
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_THAT(sent_[2].subject, StartsWith(kPull));
  EXPECT_EQ(sent_[2].payload["batch"], 1024);
  Deliver(5, 1);
  Deliver(6, 2);
  EXPECT_THAT(Sequences(), testing::ElementsAre(5, 6));
}

TEST_F(NatsReaderTest, AnInfoThatDoesNotFitItsPositionIsTold) {
  const struct {
    uint64_t start, first, last;
    const char* says;
  } cases[] = {{12, 1, 10, "rolled back"}, {5, 6, 10, "begins at 6"}, {11, 1, 10, ""}, {1, 1, 0, ""}};
  for (const auto& c : cases) {
    events_.clear();
    ReaderOptions options;
    options.start_sequence = c.start;
    Start(options);
    AnswerInfo(c.first, c.last);
    EXPECT_EQ(Error().ok(), *c.says == '\0') << c.start;
    if (*c.says == '\0') continue;
    EXPECT_TRUE(absl::IsDataLoss(Error()));
    EXPECT_THAT(ToStd(Error().message()), HasSubstr(c.says));
    EXPECT_TRUE(reader_->closed());
  }
}

TEST_F(NatsReaderTest, AConsumerThatSkipsADeliveryIsMadeAnewBehindTheLastMessage) {
  StartReading();
  Deliver(1, 1);
  Deliver(3, 3);
  EXPECT_EQ(SentTo(kDelete), 1u);
  AnswerInfo(1, 100);
  EXPECT_EQ(sent_.back().payload["config"]["opt_start_seq"], 2);
  AnswerCreated();
  Deliver(2, 1);
  EXPECT_THAT(Sequences(), testing::ElementsAre(1, 2));
  EXPECT_TRUE(Error().ok());
}

TEST_F(NatsReaderTest, WhatCameForAnEarlierConsumerCountsNoMore) {
  StartReading();
  const uint64_t before = reader_->attempt();
  reader_->OnReconnected(now_);
  const AckSubject ack = {"S", "c", 1, 1, 5};
  reader_->OnMessage(before, ack, Message(), now_, &events_);
  EXPECT_THAT(events_, IsEmpty());
}

TEST_F(NatsReaderTest, AFreshConsumerThatBeginsElsewhereMeansThatTheStreamHasLostAMessage) {
  StartReading();
  Deliver(2, 1);
  EXPECT_TRUE(absl::IsDataLoss(Error())) << Error();
}

TEST_F(NatsReaderTest, AConsumerOnACopyThatLagsBehindIsMadeAnewUntilItBeginsWhereItWasTold) {
  ReaderOptions options;
  options.start_sequence = 50;
  StartReading(options);
  Deliver(30, 1);  // the copy ended at 29 then
  Deliver(31, 2);
  EXPECT_THAT(Sequences(), IsEmpty());
  EXPECT_TRUE(Error().ok()) << Error();
  Pass(absl::Seconds(3));
  EXPECT_EQ(SentTo(kInfo), 2u);
  AnswerInfo(1, 100);
  EXPECT_EQ(sent_.back().payload["config"]["opt_start_seq"], 50);
  AnswerCreated();
  Deliver(50, 1);
  EXPECT_THAT(Sequences(), testing::ElementsAre(50));
}

TEST_F(NatsReaderTest, GapsPassWhereTheyAreAllowed) {
  ReaderOptions options;
  options.allow_gaps = true;
  StartReading(options);
  Deliver(4, 1);
  Deliver(9, 2);
  EXPECT_THAT(Sequences(), testing::ElementsAre(4, 9));
}

TEST_F(NatsReaderTest, AStreamMadeAnewUnderItsNameIsTold) {
  StartReading();
  reader_->OnReconnected(now_);
  AnswerInfo(1, 100, "2002-01-01T00:00:00Z");
  EXPECT_TRUE(absl::IsDataLoss(Error()));
}

TEST_F(NatsReaderTest, AStreamThatIsNotThereIsAnErrorUnlessItIsAwaited) {
  const std::string not_found = R"({"error":{"code":404,"err_code":10059,"description":"stream not found"}})";
  Start();
  Control(not_found);
  EXPECT_TRUE(absl::IsNotFound(Error()));

  events_.clear();
  sent_.clear();
  ReaderOptions options;
  options.await_stream = true;
  Start(options);
  Control(not_found);
  EXPECT_TRUE(Error().ok());
  Pass(absl::Seconds(3));
  EXPECT_EQ(SentTo(kInfo), 2u);
}

TEST_F(NatsReaderTest, AsksAgainAfterAPauseWhenNobodyAnswersOrTheConsumerIsGone) {
  Start();
  Pass(absl::Seconds(6));  // no answer
  Pass(absl::Seconds(3));
  EXPECT_EQ(SentTo(kInfo), 2u);
  AnswerInfo(1, 100);
  AnswerCreated();
  reader_->OnStatus(reader_->attempt(), 1, {409, "Consumer Deleted"}, now_);
  Pass(absl::Seconds(3));
  EXPECT_EQ(SentTo(kInfo), 3u);
}

TEST_F(NatsReaderTest, SilenceBeyondTwoHeartbeatsMakesAnotherConsumer) {
  StartReading();
  Pass(absl::Seconds(4));
  reader_->OnStatus(reader_->attempt(), 1, {100, "Idle Heartbeat"}, now_);
  Pass(absl::Seconds(4));
  EXPECT_EQ(SentTo(kInfo), 1u);
  Pass(absl::Seconds(1));
  EXPECT_EQ(SentTo(kInfo), 2u);
}

TEST_F(NatsReaderTest, NeverAsksForMoreThanItsWindow) {
  ReaderOptions options;
  options.window_messages = 3;
  StartReading(options);
  EXPECT_EQ(sent_.back().payload["batch"], 3);
  for (uint64_t n = 1; n <= 3; ++n) Deliver(n, n);
  EXPECT_EQ(SentTo(kPull), 1u);
  reader_->Grant(2, 2, now_);
  EXPECT_EQ(SentTo(kPull), 2u);
  EXPECT_EQ(sent_.back().payload["batch"], 2);
}

TEST_F(NatsReaderTest, AsksForNothingWhileItMustNot) {
  Start();
  reader_->set_may_request(false, now_);
  AnswerInfo(1, 100);
  AnswerCreated();
  EXPECT_EQ(SentTo(kPull), 0u);
  reader_->set_may_request(true, now_);
  EXPECT_EQ(SentTo(kPull), 1u);
}

TEST_F(NatsReaderTest, AMessageLargerThanTheWindowIsAskedForWithMoreRoom) {
  ReaderOptions options;
  options.window_bytes = 1000;
  StartReading(options);
  ASSERT_EQ(sent_.back().payload["max_bytes"], 1000);
  reader_->OnStatus(reader_->attempt(), 1, {409, "Message Size Exceeds MaxBytes", 1024}, now_);
  EXPECT_EQ(sent_.back().payload["max_bytes"], 2000);
}

TEST_F(NatsReaderTest, ClosingTellsTheServer) {
  StartReading();
  reader_->Close();
  EXPECT_EQ(SentTo(kDelete), 1u);
  Deliver(1, 1);
  EXPECT_THAT(events_, IsEmpty());
}

}  // namespace
}  // namespace millrace
