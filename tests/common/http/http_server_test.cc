#include "common/http/http_server.h"

#include <stdexcept>

#include "common/metrics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/http_exchange.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::unique_ptr<HttpServer> Echo() {
  auto server = HttpServer::Start("127.0.0.1:0", [](const HttpRequest& request) {
    std::string body = request.path;
    for (const auto& [name, value] : request.query) body += "|" + name + "=" + value;
    return HttpResponse{200, "text/plain", body};
  });
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

TEST(HttpServer, AnswersAGetWithPathAndQueryDecoded) {
  const auto server = Echo();
  const std::string answer =
      Exchange(server->address(), "GET /a%20b?job=x%2By&z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("/a b|job=x+y|z="));
}

TEST(HttpServer, AnswersTwoRequestsOnOneConnection) {
  const auto server = Echo();
  const std::string answer = Exchange(
      server->address(),
      "GET /one HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("/one"));
  EXPECT_THAT(answer, HasSubstr("/two"));
}

TEST(HttpServer, RefusesEverythingButGet) {
  const auto server = Echo();
  EXPECT_THAT(Exchange(server->address(), "DELETE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 405"));
}

TEST(HttpServer, SurvivesAHandlerThatThrows) {
  const auto server = HttpServer::Start("127.0.0.1:0", [](const HttpRequest& request) -> HttpResponse {
    if (request.path == "/") return {200, "text/plain", "well"};
    throw std::runtime_error("no UTF-8");
  });
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT(Exchange((*server)->address(), "GET /%ff HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(Exchange((*server)->address(), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              HasSubstr("well"));
}

TEST(HttpServer, ClosesOnARequestThatIsTooLong) {
  const auto server = Echo();
  const std::string answer = Exchange(
      server->address(), "GET / HTTP/1.1\r\nX: " + std::string(2 * kMaxHttpHeaderBytes, 'x') + "\r\n\r\n");
  EXPECT_THAT(answer, Not(HasSubstr("200")));
}

TEST(HttpServer, SaysWhyItCannotListen) {
  const auto server = Echo();
  const auto second = HttpServer::Start(server->address(), [](const HttpRequest&) { return HttpResponse{}; });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(server->address()));
  const auto nonsense = HttpServer::Start("here", [](const HttpRequest&) { return HttpResponse{}; });
  EXPECT_EQ(nonsense.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Metrics, ShowsASeriesWhileItsHandleLives) {
  Metrics metrics;
  {
    Counter in = metrics.MakeCounter("items_in_total", "records taken", PartitionLabels("j", 0, 3));
    Counter same = metrics.MakeCounter("items_in_total", "records taken", PartitionLabels("j", 0, 3));
    in.Add(2);
    same.Add();
    EXPECT_THAT(metrics.Text(),
                HasSubstr("millrace_items_in_total{job=\"j\",partition=\"3\",segment=\"0\"} 3"));
  }
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("partition=\"3\"")));
}

TEST(Metrics, CountsInBuckets) {
  Metrics metrics;
  Histogram seconds = metrics.MakeHistogram("commit_seconds", "time of a commit", {}, {0.1, 1});
  seconds.Observe(0.5);
  EXPECT_THAT(metrics.Text(), HasSubstr("millrace_commit_seconds_bucket{le=\"1\"} 1"));
  Gauge lag = metrics.MakeGauge("lag_records", "records not yet done");
  lag.Set(7);
  EXPECT_THAT(metrics.Text(), HasSubstr("millrace_lag_records 7"));
}

}  // namespace
}  // namespace millrace
