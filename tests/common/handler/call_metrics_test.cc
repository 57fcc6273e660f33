#include "common/handler/call_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace millrace {
namespace {

using testing::HasSubstr;

HandlerCall Call(uint64_t serial) {
  HandlerCall call;
  call.asker = 1;
  call.serial = serial;
  call.key = "k";
  call.packed = PackHttpRequest({"POST", "http://x", "application/json", "1", "l"});
  return call;
}

HttpAnswer AnswerOf(long code) {
  HttpAnswer answer;
  answer.code = code;
  return answer;
}

TEST(CallMetricsTest, ShowWhatBecomesOfRequestsAndRecords) {
  HandlerStage stage;
  stage.job = "j";
  stage.name = "s";
  Metrics metrics;
  CallMetrics shown_to = MakeCallMetrics(metrics, stage);
  RequestQueue::Counts shown;

  CallStage call;
  call.batch = {2, absl::Milliseconds(20)};
  call.retry = {2, {absl::Milliseconds(1), absl::Milliseconds(1)}};
  RequestQueue queue(std::make_shared<const CallStage>(call));
  std::vector<CallAnswer> answers;
  absl::Duration now = absl::Seconds(100);
  for (const uint64_t serial : {1U, 2U, 3U}) queue.Add(Call(serial), now, &answers);
  const auto take = [&](long code) {
    const auto out = queue.Next(now);
    ASSERT_TRUE(out.has_value());
    queue.Take(out->id, AnswerOf(code), {now, absl::UnixEpoch(), 0}, &answers);
  };
  take(503);  // 1 and 2
  take(400);  // again
  take(400);  // 1 alone
  take(204);  // 2 alone
  now += absl::Milliseconds(20);
  ASSERT_TRUE(queue.Next(now).has_value());  // 3
  queue.Add(Call(4), now, &answers);
  ShowCallMetrics(queue, &shown, &shown_to);
  ShowCallMetrics(queue, &shown, &shown_to);

  const std::string text = metrics.Text();
  constexpr const char* kShown[] = {
      "requests_out{job=\"j\",stage=\"s\"} 1",   "waiting{job=\"j\",stage=\"s\"} 1",
      "requests_total{job=\"j\",stage=\"s\"} 5", "records_total{job=\"j\",stage=\"s\"} 7",
      "retries_total{job=\"j\",stage=\"s\"} 1",  "divided_total{job=\"j\",stage=\"s\"} 1",
      "failures_total{job=\"j\",stage=\"s\"} 1"};
  for (const char* const line : kShown) EXPECT_THAT(text, HasSubstr(std::string("millrace_call_") + line));
}

}  // namespace
}  // namespace millrace
