#include "coordinator/service/api.h"

#include "common/value/value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

using testing::HasSubstr;

class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    auto snapshot = std::make_shared<ClusterSnapshot>();
    JobRecord job;
    job.name = "delays";
    job.uid = "00000000000000aa";
    job.partitions = 2;
    snapshot->jobs["job.delays"] = {"job.delays", Encode(job), 1, false, 0};
    board_.Show({std::move(snapshot), /*knows_leader=*/true, bus_.get()});
  }
  HttpResponse Get(const std::string& path, const std::map<std::string, std::string>& query = {}) {
    return Api(board_, metrics_, clock_).Answer({path, query});
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  Metrics metrics_;
  Board board_;
};

TEST_F(ApiTest, AnswersAboutANameThatIsNoUtf8) {
  const HttpResponse response = Get("/api/v1/status", {{"job", "\xff"}});
  EXPECT_EQ(response.status, 404);
  EXPECT_TRUE(IsValidUtf8(response.body));
  EXPECT_THAT(response.body, HasSubstr("\uFFFD"));
}

TEST_F(ApiTest, AJobIsNamedInThePathOrBehindTheCommand) {
  for (const char* path : {"/api/v1/jobs/delays", "/api/v1/jobs/delays/"}) {
    EXPECT_EQ(Get(path).body, Get("/api/v1/status", {{"job", "delays"}}).body) << path;
  }
  EXPECT_THAT(Get("/api/v1/jobs/delays").body, HasSubstr("\"job\":\"delays\""));
  EXPECT_EQ(Get("/api/v1/jobs/delays/partitions").body, Get("/api/v1/partitions", {{"job", "delays"}}).body);
  EXPECT_THAT(Get("/api/v1/jobs/delays/partitions").body, HasSubstr("\"partition\":1"));
}

TEST_F(ApiTest, SaysWhatThereIsAndWhatIsNot) {
  EXPECT_THAT(Get("/api/v1/").body, HasSubstr("/api/v1/jobs/NAME/partitions"));
  EXPECT_EQ(Get("/api/v1/jobs/").body, Get("/api/v1/jobs").body);
  EXPECT_EQ(Get("/api/v1/status").status, 400);
  EXPECT_EQ(Get("/api/v1/jobs/delay").status, 404);
  EXPECT_THAT(Get("/api/v1/jobs/delay").body, HasSubstr("did you mean `delays`?"));
  for (const char* path : {"/api", "/api/v2/jobs", "/api/v1/jobs/delays/workers", "/nothing"}) {
    EXPECT_EQ(Get(path).status, 404) << path;
  }
}

}  // namespace
}  // namespace millrace
