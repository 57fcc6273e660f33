#include "common/handler/handler_stages.h"

#include <string>

#include "common/job/job_parser.h"
#include "common/strings.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

HandlerStage CallOf(const std::string& settings) {
  const std::string text = StrCat("name: j\nkey: k\nstages:\n  - name: ask\n    call: { ", settings,
                                  ", result: response.body }\n");
  const auto job = ParseJob("j.yaml", text);
  EXPECT_TRUE(job.ok()) << job.status();
  std::vector<HandlerStage> stages = HandlerStagesOf(*job, "0123456789abcdef", PooledLua::kInThreads);
  EXPECT_EQ(stages.size(), 1U);
  return stages.front();
}

// One pool for both would send the secrets of one version to the service of the other.
TEST(HandlerStagesTest, VersionsOfACallThatDifferHavePoolsOfTheirOwn) {
  const HandlerStage before = CallOf("http: 'http://a/', headers: { Authorization: 'Bearer ${A}' }");
  const HandlerStage same = CallOf("http: 'http://a/', headers: { Authorization: 'Bearer ${A}' }");
  const HandlerStage elsewhere = CallOf("http: 'http://b/', headers: { Authorization: 'Bearer ${A}' }");
  const HandlerStage another = CallOf("http: 'http://a/', headers: { Authorization: 'Bearer ${B}' }");
  EXPECT_EQ(before.code, same.code);
  EXPECT_NE(before.code, elsewhere.code);
  EXPECT_NE(before.code, another.code);
}

}  // namespace
}  // namespace millrace
