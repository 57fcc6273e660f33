// Against a real server.
#include "coordinator/chaos/plain_nats.h"

#include <gtest/gtest.h>

#include "common/strings.h"
#include "tests/support/nats_server.h"

namespace millrace::chaos {
namespace {

class PlainNatsTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = NatsServer::Start();
    ASSERT_NE(server_, nullptr);
    nats_ = std::make_unique<PlainNats>(*PlainNats::ParseUrls(server_->url()));
    const nlohmann::json config = {{"name", "s"}, {"subjects", {"in.>"}}, {"storage", "file"}};
    ASSERT_TRUE(nats_->Api("STREAM.CREATE.s", config).ok());
  }
  uint64_t Append(const std::string& payload, const std::string& mark) {
    PlainMessage message;
    if (!mark.empty()) message.headers = {{"Mark", mark}};
    message.payload = payload;
    const auto sequence = nats_->Append("in.a", message);
    EXPECT_TRUE(sequence.ok()) << sequence.status();
    return sequence.value_or(0);
  }

  std::unique_ptr<NatsServer> server_;
  std::unique_ptr<PlainNats> nats_;
};

TEST_F(PlainNatsTest, ReadsAllThatAStreamHoldsWithItsHeaders) {
  constexpr uint64_t kMessages = 1203;  // more than two batches
  for (uint64_t i = 1; i <= kMessages; ++i) ASSERT_EQ(Append(StrCat("payload ", i), StrCat(i, ".0")), i);
  uint64_t seen = 0;
  const absl::Status status = nats_->ReadAll("s", [&](const PlainMessage& message) {
    ++seen;
    EXPECT_EQ(message.sequence, seen);
    EXPECT_EQ(message.Header("Mark"), StrCat(seen, ".0"));
    EXPECT_EQ(message.payload, StrCat("payload ", seen));
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, kMessages);
}

TEST_F(PlainNatsTest, AnEmptyStreamIsReadAtOnce) {
  EXPECT_TRUE(nats_->ReadAll("s", [](const PlainMessage&) { FAIL(); }).ok());
  EXPECT_EQ(nats_->ReadAll("nothing", [](const PlainMessage&) { FAIL(); }).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(PlainNatsTest, GivesOneStoredMessage) {
  Append("one", "");
  Append(std::string("two\0\r\n\xff", 7), "7");
  const auto last = nats_->Stored("s", {{"last_by_subj", "in.*"}});
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->sequence, 2u);
  EXPECT_EQ(last->Header("Mark"), "7");
  EXPECT_EQ(last->payload, std::string("two\0\r\n\xff", 7));
  EXPECT_EQ(nats_->Stored("s", {{"seq", 9}}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PlainNatsTest, ConnectsAgainWhenTheServerCameBack) {
  Append("one", "");
  server_->Kill();
  EXPECT_EQ(nats_->Api("STREAM.INFO.s").status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(server_->Restart());
  absl::StatusOr<nlohmann::json> info = absl::UnavailableError("");
  for (int i = 0; i < 100 && !info.ok(); ++i) {
    info = nats_->Api("STREAM.INFO.s");
    if (!info.ok()) absl::SleepFor(absl::Milliseconds(50));
  }
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ((*info)["state"]["messages"], 1);
}

TEST_F(PlainNatsTest, GoesToAnotherAddressWhereNobodyListens) {
  const auto addresses = PlainNats::ParseUrls(StrCat("nats://127.0.0.1:1,", server_->url()));
  ASSERT_TRUE(addresses.ok());
  ASSERT_EQ(addresses->size(), 2u);
  EXPECT_TRUE(PlainNats(*addresses).Api("STREAM.INFO.s").ok());
}

TEST(PlainNats, ReadsUrls) {
  const auto address = PlainNats::ParseUrl("nats://me:secret@example.org:4333");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "example.org");
  EXPECT_EQ(address->port, 4333);
  EXPECT_EQ(address->user, "me");
  EXPECT_EQ(address->password, "secret");
  EXPECT_EQ(PlainNats::ParseUrl("localhost")->port, 4222);
  for (const char* url : {"", "nats://", "nats://a:0", "nats://a:b", "nats://a/b"}) {
    EXPECT_FALSE(PlainNats::ParseUrl(url).ok()) << url;
  }
}

}  // namespace
}  // namespace millrace::chaos
