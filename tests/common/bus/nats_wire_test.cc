#include "common/bus/nats_wire.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::Eq;
using testing::Optional;

TEST(AckSubject, IsReadInItsShortAndItsLongForm) {
  for (const char* subject : {"$JS.ACK.orders.c1.1.17.5.1600000000000000000.3",
                              "$JS.ACK.hub.hash.orders.c1.1.17.5.1600000000000000000.3",
                              "$JS.ACK.hub.hash.orders.c1.1.17.5.1600000000000000000.3.random"}) {
    const std::optional<AckSubject> ack = ParseAckSubject(subject);
    ASSERT_TRUE(ack.has_value()) << subject;
    EXPECT_EQ(ack->stream, "orders");
    EXPECT_EQ(ack->consumer, "c1");
    EXPECT_EQ(ack->stream_sequence, 17u);
    EXPECT_EQ(ack->consumer_sequence, 5u);
    EXPECT_EQ(ack->time_ns, 1'600'000'000'000'000'000);
  }
}

TEST(AckSubject, OtherSubjectsAreNone) {
  for (const char* subject : {"", "orders", "$JS.ACK.", "$JS.ACK.orders.c1.1.17.5", "$JS.ACK.o.c.1.x.5.1.3",
                              "$JS.ACK.o.c.1.17.-5.1.3", "$JS.ACK.o.c.1.99999999999999999999.5.1.3"}) {
    EXPECT_FALSE(ParseAckSubject(subject).has_value()) << subject;
  }
}

TEST(FindHeader, FindsTheValueOfThatNameAlone) {
  const char block[] = "NATS/1.0\r\nMillrace-Other: x\r\nMillrace:  1 d u in \r\nEmpty:\r\n\r\n";
  EXPECT_THAT(FindHeader(block, "Millrace"), Optional(Eq("1 d u in")));
  EXPECT_THAT(FindHeader(block, "Empty"), Optional(Eq("")));
  EXPECT_EQ(FindHeader(block, "millrace"), std::nullopt);
  EXPECT_EQ(FindHeader(block, "Absent"), std::nullopt);
  EXPECT_EQ(FindHeader("NATS/1.0", "Millrace"), std::nullopt);
  EXPECT_THAT(FindHeader("NATS/1.0\r\nA: cut", "A"), Optional(Eq("cut")));
}

TEST(ApiError, SaysWhatTheCallerCanDo) {
  const struct {
    const char* error;
    absl::StatusCode code;
  } cases[] = {
      {R"({"code":404,"err_code":10059,"description":"stream not found"})", absl::StatusCode::kNotFound},
      {R"({"code":400,"err_code":10058,"description":"in use"})", absl::StatusCode::kAlreadyExists},
      {R"({"code":400,"err_code":10071,"description":"wrong last"})", absl::StatusCode::kFailedPrecondition},
      {R"({"code":500,"err_code":10065,"description":"overlap"})", absl::StatusCode::kFailedPrecondition},
      {R"({"code":503,"err_code":10077,"description":"maximum bytes"})",
       absl::StatusCode::kResourceExhausted},
      {R"({"code":503,"err_code":10077,"description":"write failed"})", absl::StatusCode::kUnavailable},
      {R"({"code":400,"err_code":10054,"description":"too large"})", absl::StatusCode::kInvalidArgument},
      {R"({"code":404})", absl::StatusCode::kNotFound},
      {R"({"code":408})", absl::StatusCode::kUnavailable},
      {R"({"code":499})", absl::StatusCode::kFailedPrecondition},
      {R"({"code":500})", absl::StatusCode::kUnavailable},
      {R"("text")", absl::StatusCode::kUnavailable},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ApiError(nlohmann::json::parse(c.error)).code(), c.code) << c.error;
  }
}

TEST(ApiReply, IsADocumentOrAnError) {
  EXPECT_TRUE(ParseApiReply(R"({"type":"x"})").ok());
  EXPECT_TRUE(absl::IsNotFound(ParseApiReply(R"({"error":{"code":404}})").status()));
  EXPECT_TRUE(absl::IsUnavailable(ParseApiReply("").status()));
  EXPECT_TRUE(absl::IsUnavailable(ParseApiReply("[1]").status()));
}

TEST(AppendAck, IsASequenceOrARefusal) {
  EXPECT_THAT(*ParseAppendAck(R"({"stream":"S","seq":17})"), Eq(17u));
  EXPECT_THAT(*ParseAppendAck(R"({"stream":"S", "seq": 18, "duplicate": true})"), Eq(18u));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      ParseAppendAck(R"({"error":{"code":400,"err_code":10071,"description":"x"},"stream":"S","seq":0})")
          .status()));
  EXPECT_TRUE(absl::IsUnavailable(ParseAppendAck("").status()));
  EXPECT_TRUE(absl::IsUnavailable(ParseAppendAck(R"({"stream":"S"})").status()));
}

TEST(ServerTime, IsReadToTheNanosecond) {
  EXPECT_EQ(ParseServerTimeNs("2001-09-09T01:46:40.000000001Z"), 1'000'000'000'000'000'001);
  EXPECT_EQ(ParseServerTimeNs("yesterday"), 0);
}

}  // namespace
}  // namespace millrace
