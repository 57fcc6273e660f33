#include <atomic>
#include <map>
#include <thread>

#include "absl/time/clock.h"
#include "common/http/http_sender.h"
#include "common/http/http_server.h"
#include "common/http/http_transfers.h"
#include "common/http/http_verdict.h"
#include "common/http/secret_text.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

constexpr absl::Duration kPatience = absl::Seconds(30);

HttpAnswer AnswerWith(long code, const std::string& retry_after) {
  HttpAnswer answer;
  answer.code = code;
  answer.headers.emplace_back("retry-after", retry_after);
  return answer;
}

TEST(HttpVerdict, SaysWhatAskingAgainCanHelp) {
  for (const long code : {200L, 201L, 204L, 299L})
    EXPECT_EQ(JudgeHttpCode(code), HttpVerdict::kTaken) << code;
  for (const long code : {408L, 425L, 429L, 500L, 502L, 503L, 504L, 507L})
    EXPECT_EQ(JudgeHttpCode(code), HttpVerdict::kAgain) << code;
  for (const long code : {301L, 304L, 400L, 401L, 404L, 409L, 413L, 422L, 501L, 505L})
    EXPECT_EQ(JudgeHttpCode(code), HttpVerdict::kRefused) << code;
  EXPECT_EQ(JudgeHttpError(absl::UnavailableError("")), HttpVerdict::kAgain);
  EXPECT_EQ(JudgeHttpError(absl::DeadlineExceededError("")), HttpVerdict::kAgain);
  EXPECT_EQ(JudgeHttpError(absl::OutOfRangeError("too long")), HttpVerdict::kRefused);
}

TEST(HttpVerdict, ReadsRetryAfterInItsTwoForms) {
  const absl::Time now = absl::FromUnixSeconds(1'445'412'480);  // Wed, 21 Oct 2015 07:28:00 GMT
  EXPECT_EQ(RetryAfter(AnswerWith(503, "120"), now), absl::Seconds(120));
  EXPECT_EQ(RetryAfter(AnswerWith(503, "Wed, 21 Oct 2015 07:28:30 GMT"), now), absl::Seconds(30));
  EXPECT_EQ(RetryAfter(AnswerWith(503, "Wed, 21 Oct 2015 07:00:00 GMT"), now), absl::ZeroDuration());
  EXPECT_EQ(RetryAfter(AnswerWith(503, "86400"), now), kMaxRetryAfter);
  EXPECT_EQ(RetryAfter(AnswerWith(503, "soon"), now), std::nullopt);
  EXPECT_EQ(RetryAfter(HttpAnswer(), now), std::nullopt);
}

TEST(SecretText, IsFilledFromVariablesOfOnePrefix) {
  const SecretSource secrets = [](const std::string& name) -> std::optional<std::string> {
    if (name == "A") return "1";
    if (name == "BAD") return "a\r\nb";
    return std::nullopt;
  };
  EXPECT_EQ(*FillSecrets("x ${A}${A} $A", secrets), "x 11 $A");
  EXPECT_THAT(std::string(FillSecrets("${NONE}", secrets).status().message()),
              HasSubstr("MILLRACE_SECRET_NONE is not set"));
  EXPECT_FALSE(FillSecrets("${BAD}", secrets).ok()) << "it would begin another header";
  for (const char* good : {"", "plain", "Bearer ${TOKEN_2}", "$x {y}"})
    EXPECT_TRUE(IsSecretText(good)) << good;
  for (const char* bad : {"${", "${}", "${token}", "${A B}", "a ${X"}) EXPECT_FALSE(IsSecretText(bad)) << bad;
}

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() {
    auto server = HttpServer::Start("127.0.0.1:0", [this](const HttpRequest& request) {
      ++asked_;
      HttpResponse response;
      response.status = request.path == "/gone" ? 404 : 200;
      response.body = request.path == "/large" ? std::string(1 << 20, 'x') : request.path;
      return response;
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  HttpRequestOut Get(const std::string& path) const {
    HttpRequestOut request;
    request.method = "GET";
    request.url = StrCat("http://", server_->address(), path);
    return request;
  }
  // All answers, as they come.
  std::map<HttpTransfers::Id, absl::StatusOr<HttpAnswer>> Await(HttpTransfers& transfers) {
    std::map<HttpTransfers::Id, absl::StatusOr<HttpAnswer>> answers;
    const absl::Time end = absl::Now() + kPatience;
    while (transfers.running() > 0 && absl::Now() < end) {
      for (auto& done : transfers.Poll(absl::Milliseconds(50)))
        answers.emplace(done.id, std::move(done.answer));
    }
    return answers;
  }

  std::atomic<int> asked_{0};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpClientTest, RunsManyRequestsAtOnce) {
  HttpTransfers transfers;
  for (uint64_t id = 1; id <= 20; ++id) ASSERT_TRUE(transfers.Start(id, Get(StrCat("/", id))).ok());
  const auto answers = Await(transfers);
  ASSERT_EQ(answers.size(), 20u);
  for (const auto& [id, answer] : answers) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->body, StrCat("/", id));
    EXPECT_THAT(answer->headers, Contains(Pair("content-type", "application/json")));
  }
}

TEST_F(HttpClientTest, CutsOffAnAnswerThatIsTooLong) {
  HttpTransfers transfers;
  HttpRequestOut request = Get("/large");
  request.limits.max_answer_bytes = 1000;
  ASSERT_TRUE(transfers.Start(1, request).ok());
  ASSERT_TRUE(transfers.Start(2, Get("/gone")).ok());
  const auto answers = Await(transfers);
  EXPECT_TRUE(absl::IsOutOfRange(answers.at(1).status())) << answers.at(1).status();
  EXPECT_EQ(answers.at(2)->code, 404);
}

TEST_F(HttpClientTest, NothingIsHeardOfWhatWasCancelled) {
  HttpTransfers transfers;
  ASSERT_TRUE(transfers.Start(1, Get("/a")).ok());
  transfers.Cancel(1);
  EXPECT_EQ(transfers.running(), 0u);
  ASSERT_TRUE(transfers.Start(2, Get("/b")).ok());
  EXPECT_EQ(Await(transfers).size(), 1u);
}

TEST_F(HttpClientTest, AServerThatIsNotThereMayComeLater) {
  HttpRequestOut request = Get("/");
  server_.reset();
  HttpSender sender;
  const absl::Status status = sender.Send(request, {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(HttpClientTest, AnotherThreadWakesWhoWaits) {
  HttpTransfers transfers;
  std::thread waker([&] { transfers.Wake(); });
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(transfers.Poll(kPatience).empty());
  EXPECT_LT(absl::Now() - begin, kPatience);
  waker.join();
}

}  // namespace
}  // namespace millrace
