// What only a real server can show: its end and its return, its limits, its own partitioner.
#include "common/bus/nats_bus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "common/clock.h"
#include "common/partitioner.h"
#include "common/strings.h"
#include "tests/support/bus_events.h"
#include "tests/support/nats_server.h"

namespace millrace {
namespace {

class NatsBusTest : public testing::Test {
 protected:
  void Start(const NatsServer::Options& options = {}) {
    server_ = NatsServer::Start(options);
    ASSERT_NE(server_, nullptr);
    NatsOptions nats;
    nats.url = server_->url();
    auto bus = ConnectNats(nats, SystemClock());
    ASSERT_TRUE(bus.ok()) << bus.status();
    bus_ = *std::move(bus);
  }
  void MakeStream(std::vector<std::string> subjects = {"s"}) {
    StreamConfig config;
    config.name = "S";
    config.subjects = std::move(subjects);
    const absl::StatusOr<StreamInfo> made = bus_->CreateStream(config);
    ASSERT_TRUE(made.ok()) << made.status();
  }
  absl::Status Append(uint64_t cookie, std::string_view payload) {
    AppendRequest request;
    request.subject = "s";
    request.payload = payload;
    request.cookie = cookie;
    return bus_->Append(request);
  }
  ReaderId Read(uint64_t start) {
    ReaderOptions options;
    options.stream = "S";
    options.start_sequence = start;
    options.name_hint = "test";
    return bus_->OpenReader(options);
  }

  std::unique_ptr<NatsServer> server_;
  std::unique_ptr<Bus> bus_;
};

TEST_F(NatsBusTest, ReaderGoesOnWithoutGapOrDoubleAfterTheServerIsKilled) {
  Start();
  MakeStream();
  for (uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(Append(i, StrCat(i)).ok());
  for (uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(NextEvent(*bus_, BusEvent::Type::kAppended).status.ok());
  Read(1);
  for (uint64_t i = 1; i <= 50; ++i) ASSERT_EQ(NextEvent(*bus_).message.sequence, i);
  server_->Kill();
  uint64_t last = 50;
  const auto expect_next = [&last](const BusEvent& event) {
    if (event.type == BusEvent::Type::kMessage) {
      EXPECT_EQ(event.message.sequence, ++last);
    }
    return event.type;
  };
  while (expect_next(NextEvent(*bus_)) != BusEvent::Type::kDisconnected) {
  }
  EXPECT_TRUE(absl::IsUnavailable(Append(101, "x")));
  ASSERT_TRUE(server_->Restart());
  while (expect_next(NextEvent(*bus_)) != BusEvent::Type::kReconnected) {
  }
  while (last < 100) expect_next(NextEvent(*bus_));
  ASSERT_TRUE(Append(101, "101").ok());
  EXPECT_EQ(NextEvent(*bus_, BusEvent::Type::kMessage).message.payload, "101");
}

TEST_F(NatsBusTest, ReaderSeesThatItsStreamWasLostWhileTheServerWasAway) {
  Start();
  MakeStream();
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(Append(i, "x").ok());
  Read(1);
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_EQ(NextEvent(*bus_, BusEvent::Type::kMessage).message.sequence, i);
  server_->Kill();
  NextEvent(*bus_, BusEvent::Type::kDisconnected);
  ASSERT_TRUE(server_->LoseStore());
  ASSERT_TRUE(server_->Restart());
  NextEvent(*bus_, BusEvent::Type::kReconnected);
  const BusEvent event = NextEvent(*bus_, BusEvent::Type::kReaderError);
  EXPECT_TRUE(absl::IsNotFound(event.status)) << event.status;
}

TEST_F(NatsBusTest, AStreamThatACrashLeftHalfMadeIsMadeWhole) {
  Start();
  MakeStream();
  ASSERT_TRUE(bus_->CreateBucket("b").ok());
  server_->Kill();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(server_->folder())) {
    if (entry.path().filename() == "meta.sum") std::filesystem::resize_file(entry.path(), 0);
  }
  ASSERT_TRUE(server_->Restart());
  NextEvent(*bus_, BusEvent::Type::kReconnected);
  ASSERT_TRUE(absl::IsNotFound(bus_->GetStream("S").status()));
  MakeStream();
  ASSERT_TRUE(bus_->CreateBucket("b").ok());
  ASSERT_TRUE(Append(1, "kept").ok());
  ASSERT_TRUE(NextEvent(*bus_, BusEvent::Type::kAppended).status.ok());
  ASSERT_TRUE(bus_->CreateKey("b", "k", "kept").ok());
  server_->Kill();
  ASSERT_TRUE(server_->Restart());
  NextEvent(*bus_, BusEvent::Type::kReconnected);
  EXPECT_EQ(bus_->GetMessage("S", 1)->payload, "kept");
  EXPECT_EQ(bus_->GetKey("b", "k")->value, "kept");
}

TEST_F(NatsBusTest, AStreamThatIsAskedForAgainStaysTheSame) {
  Start();
  MakeStream();
  const int64_t created_ns = bus_->GetStream("S")->created_ns;
  for (int restarts = 0; restarts < 2; ++restarts) {
    server_->Kill();
    ASSERT_TRUE(server_->Restart());
    NextEvent(*bus_, BusEvent::Type::kReconnected);
    MakeStream();
    EXPECT_EQ(bus_->GetStream("S")->created_ns, created_ns);
  }
}

TEST_F(NatsBusTest, ReaderSeesThatItsStreamWasPurgedBehindIt) {
  Start();
  MakeStream();
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(Append(i, "x").ok());
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(NextEvent(*bus_).status.ok());
  ASSERT_TRUE(bus_->Request("$JS.API.STREAM.PURGE.S", R"({"seq":3})", absl::Seconds(10)).ok());
  Read(1);
  EXPECT_TRUE(absl::IsDataLoss(NextEvent(*bus_).status));
  Read(3);
  EXPECT_EQ(NextEvent(*bus_).message.sequence, 3u);
}

TEST_F(NatsBusTest, ManyMessagesComeInOrderThroughASmallWindow) {
  Start();
  MakeStream();
  constexpr uint64_t kMessages = 5000;
  const std::string payload(1000, 'x');
  for (uint64_t i = 1; i <= kMessages; ++i) ASSERT_TRUE(Append(i, payload).ok());
  ReaderOptions options;
  options.stream = "S";
  options.window_messages = 50;
  options.window_bytes = 64 << 10;
  const ReaderId reader = bus_->OpenReader(options);
  for (uint64_t i = 1; i <= kMessages; ++i) {
    ASSERT_EQ(NextEvent(*bus_, BusEvent::Type::kMessage).message.sequence, i);
    bus_->Grant(reader, 1, payload.size());
  }
}

TEST_F(NatsBusTest, NobodyAtTheAddressSaysWhatToTry) {
  Start();
  NatsOptions options;
  options.url = "nats://127.0.0.1:1";
  options.connect_deadline = absl::Milliseconds(300);
  const absl::Status status = ConnectNats(options, SystemClock()).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_NE(status.message().find("127.0.0.1:1"), std::string::npos) << status;
  EXPECT_NE(status.message().find("try --nats"), std::string::npos) << status;
}

TEST_F(NatsBusTest, OneOfSeveralAddressesIsEnough) {
  Start();
  NatsOptions options;
  for (const std::string& urls :
       {StrCat("nats://127.0.0.1:1,", server_->url()), StrCat(server_->url(), ", nats://127.0.0.1:1")}) {
    options.url = urls;
    const auto bus = ConnectNats(options, SystemClock());
    EXPECT_TRUE(bus.ok()) << urls << ": " << bus.status();
  }
}

TEST_F(NatsBusTest, ServerWithoutJetStreamIsRefused) {
  NatsServer::Options options;
  options.jetstream = false;
  server_ = NatsServer::Start(options);
  ASSERT_NE(server_, nullptr);
  NatsOptions nats;
  nats.url = server_->url();
  EXPECT_TRUE(absl::IsFailedPrecondition(ConnectNats(nats, SystemClock()).status()));
}

TEST_F(NatsBusTest, PartitionerAgreesWithTheServersMapping) {
  NatsServer::Options options;
  options.config = R"(mappings { "in.*": "p.{{partition(13,1)}}.{{wildcard(1)}}" })";
  Start(options);
  MakeStream({"p.*.*"});
  constexpr uint64_t kKeys = 1000;
  std::set<std::string> keys;
  for (uint64_t i = 0; i < kKeys; ++i) {
    const std::string key = StrCat("key-", i * 2654435761u % 1'000'003);
    keys.insert(key);
    const std::string subject = StrCat("in.", key);
    AppendRequest request;
    request.subject = subject;
    request.cookie = i;
    ASSERT_TRUE(bus_->Append(request).ok());
  }
  ASSERT_EQ(keys.size(), kKeys);
  const ReaderId reader = Read(1);
  for (uint64_t i = 0; i < kKeys; ++i) {
    const std::string subject = NextEvent(*bus_, BusEvent::Type::kMessage).message.subject;
    const std::string key = subject.substr(subject.rfind('.') + 1);
    EXPECT_EQ(subject, StrCat("p.", PartitionOf(key, 13).value(), ".", key));
    bus_->Grant(reader, 1, 0);
  }
}

TEST_F(NatsBusTest, EverythingIsReadInOrderThoughMoreCameThanTheQueueHolds) {
  constexpr uint64_t kMessages = 500;
  Start();
  MakeStream();
  for (uint64_t i = 1; i <= kMessages; ++i) ASSERT_TRUE(Append(i, StrCat(i)).ok());
  for (uint64_t i = 1; i <= kMessages; ++i) {
    ASSERT_TRUE(NextEvent(*bus_, BusEvent::Type::kAppended).status.ok());
  }
  NatsOptions small;
  small.url = server_->url();
  small.max_queued_events = 16;
  bus_ = *ConnectNats(small, SystemClock());
  const ReaderId reader = Read(1);
  ASSERT_EQ(NextEvent(*bus_).message.sequence, 1u);
  absl::SleepFor(absl::Milliseconds(200));  // nobody polls: what was asked for comes, and overflows
  for (uint64_t i = 2; i <= kMessages; ++i) {
    ASSERT_EQ(NextEvent(*bus_).message.sequence, i);
    bus_->Grant(reader, 1, 1);
  }
}

TEST_F(NatsBusTest, ASubjectIsServedByItsLastHandlerUntilThatIsTakenAway) {
  Start();
  const auto answering = [this](const std::string& with) {
    return [this, with](const Bus::Incoming& asked) { (void)bus_->Reply(asked.reply_to, with); };
  };
  ASSERT_TRUE(bus_->Serve("ask", answering("first")).ok());
  EXPECT_EQ(*bus_->Request("ask", "", absl::Seconds(5)), "first");
  ASSERT_TRUE(bus_->Serve("ask", answering("second")).ok());
  EXPECT_EQ(*bus_->Request("ask", "", absl::Seconds(5)), "second");
  ASSERT_TRUE(bus_->Serve("ask", nullptr).ok());
  EXPECT_FALSE(bus_->Request("ask", "", absl::Milliseconds(300)).ok());
}

// The subjects that SECURITY.md names, and one user who lacks a bucket.
constexpr char kRestrictedUsers[] = R"(
authorization {
  ours = {
    publish: ["mr.>", "$JS.API.>", "_INBOX.>", "$KV.mr-jobs.>", "$KV.mr-workers.>", "$KV.mr-assignments.>",
              "$KV.mr-epochs.>"]
    subscribe: ["mr.rpc.>", "_INBOX.>"]
  }
  lacking = { publish: ["$JS.API.>", "$KV.mr-*"], subscribe: ["_INBOX.>"] }
  users = [ { user: ours, password: x, permissions: $ours }, { user: lacking, password: x, permissions: $lacking } ]
}
)";

absl::StatusOr<std::unique_ptr<Bus>> ConnectAs(const NatsServer& server, std::string_view user) {
  NatsOptions nats;
  nats.url = StrCat("nats://", user, ":x@127.0.0.1:", server.port());
  return ConnectNats(nats, SystemClock());
}

TEST_F(NatsBusTest, TheSubjectsThatSecurityMdNamesAreEnough) {
  server_ = NatsServer::Start({.config = kRestrictedUsers});
  ASSERT_NE(server_, nullptr);
  auto connected = ConnectAs(*server_, "ours");
  ASSERT_TRUE(connected.ok()) << connected.status();
  bus_ = *std::move(connected);
  StreamConfig config;
  config.name = "mr-j-0-0";
  config.subjects = {"mr.j.0.0"};
  ASSERT_TRUE(bus_->CreateStream(config).ok());
  AppendRequest request;
  request.subject = "mr.j.0.0";
  request.payload = "one";
  ASSERT_TRUE(bus_->AppendAndWait(request).ok());
  ReaderOptions reader;
  reader.stream = config.name;
  bus_->OpenReader(reader);
  EXPECT_EQ(PollMessages(*bus_, 1).size(), 1u);
  for (const std::string bucket : {"mr-jobs", "mr-workers", "mr-assignments", "mr-epochs"}) {
    ASSERT_TRUE(bus_->CreateBucket(bucket, 1).ok());
    ASSERT_TRUE(bus_->CreateKey(bucket, "k", "v").ok());
    EXPECT_EQ(bus_->GetKey(bucket, "k")->value, "v");
    EXPECT_TRUE(bus_->DeleteKey(bucket, "k").ok());
  }
  ASSERT_TRUE(bus_->Serve("mr.rpc.w1",
                          [this](const Bus::Incoming& asked) { (void)bus_->Reply(asked.reply_to, "well"); })
                  .ok());
  EXPECT_EQ(*bus_->Request("mr.rpc.w1", "", absl::Seconds(10)), "well");
  EXPECT_TRUE(bus_->DeleteStream(config.name).ok());
}

TEST_F(NatsBusTest, APermissionThatIsMissingIsInTheLog) {
  server_ = NatsServer::Start({.config = kRestrictedUsers});
  ASSERT_NE(server_, nullptr);
  auto connected = ConnectAs(*server_, "lacking");
  ASSERT_TRUE(connected.ok()) << connected.status();
  bus_ = *std::move(connected);
  ASSERT_TRUE(bus_->CreateBucket("mr-jobs", 1).ok());
  testing::internal::CaptureStdout();
  EXPECT_FALSE(
      bus_->PutKey("mr-jobs", "k", "v").ok());  // it waits for its answer, and longer than the refusal
  bus_.reset();                                 // ends the client's threads
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("NATS complains"), std::string::npos) << said;
  EXPECT_NE(said.find("$KV.mr-jobs.k"), std::string::npos) << said;
}

}  // namespace
}  // namespace millrace
