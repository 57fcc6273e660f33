#include "worker/http/worker_http.h"

#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/support/http_exchange.h"
#include "tests/support/metric_value.h"
#include "tests/worker/runtime/worker_runtime_fixture.h"

namespace millrace {
namespace {

class WorkerHttpTest : public WorkerRuntimeTest {
 protected:
  std::string Get(const std::string& path) {
    return Exchange(http_.address(),
                    StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  }
  std::optional<double> Value(const std::string& name) {
    return MetricValue(Get("/metrics"), StrCat("millrace_", name));
  }

  WorkerHttp http_;
};

TEST_F(WorkerHttpTest, AnErrorIsARetryADeadLetterOrARecordLeftOut) {
  ASSERT_EQ(http_.Start("127.0.0.1:0"), absl::OkStatus());
  MakeJob(
      "stages:\n"
      "  - { filter: assert(r.k ~= 'left out'), on_error: skip }\n"
      "  - filter: assert(r.k ~= 'bad')\n"
      "    on_error: retry\n"
      "    retry: { attempts: 3, backoff: 1ms..1ms }\n");
  for (const char* key : {"good", "left out", "bad"}) Feed(StrCat(R"({"k":")", key, R"("})"));
  Start();
  Await([](const PartitionReport& report) { return report.records_in == 3; });
  http_.Serve(runtime_.get());
  const PartitionReport report = Await([](const PartitionReport& said) { return said.dead_letters == 1; });
  EXPECT_GT(report.retries, 0u);
  EXPECT_EQ(report.skipped, 1u);
  EXPECT_EQ(Value("errors_total"), static_cast<double>(report.retries + 2));
  EXPECT_EQ(Value("retries_total"), static_cast<double>(report.retries));
  http_.Serve(nullptr);
  EXPECT_EQ(Value("errors_total"), std::nullopt);
}

TEST_F(WorkerHttpTest, HealthAndReadinessDoNotWaitForMetrics) {
  ASSERT_EQ(http_.Start("127.0.0.1:0"), absl::OkStatus());
  absl::Notification asked, answer;
  http_.Serve({[] { return true; },
               [&] {
                 asked.Notify();
                 answer.WaitForNotification();
                 return std::vector<PartitionReport>();
               }});
  std::thread scrape([&] { EXPECT_THAT(Get("/metrics"), testing::HasSubstr("200 OK")); });
  asked.WaitForNotification();
  EXPECT_THAT(Get("/healthz"), testing::HasSubstr("200 OK"));
  EXPECT_THAT(Get("/readyz"), testing::HasSubstr("200 OK"));
  answer.Notify();
  scrape.join();
  http_.Serve(nullptr);
}

}  // namespace
}  // namespace millrace
