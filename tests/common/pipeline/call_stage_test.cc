// A stage that calls a service: which requests it makes, and what becomes of the answers.
#include "common/handler/call_memos.h"
#include "common/handler/call_request.h"
#include "common/handler/handler_stages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CallRig {
 public:
  explicit CallRig(const std::string& stages) : CallRig(PipelineRig::Parse(stages)) {}
  explicit CallRig(const JobSpec& spec)
      : memos(1, HandlerStagesOf(spec, "uid")), rig(spec, {.calls = &memos}) {}

  absl::StatusOr<StepResult> Feed(const std::vector<Input>& records) {
    absl::StatusOr<StepResult> result = rig.Feed(records);
    for (int round = 0; round < 10 && result.ok() && result->waits_for_calls; ++round) {
      for (const CallMemos::Failure& failure : memos.TakeFailures()) {
        CountVerdict({failure.offset, failure.record, failure.why, memos.stages()[failure.stage].name,
                      Verdict::Outcome::kFailed},
                     &attempts);
      }
      for (auto& [stage, calls] : memos.TakeAsked()) {
        for (const HandlerCall& call : calls) {
          requests.push_back(*UnpackHttpRequest(call.packed));
          memos.Take({call.asker, call.serial, Answer(requests.back())});
        }
      }
      result = rig.Again(0);
    }
    return result;
  }
  CallOutcome Answer(const HttpCallRequest& request) {
    HttpAnswer http;
    http.code = 200;
    http.headers = {{"content-type", "application/json"}};
    http.body = answer(request);
    if (!http.body.empty()) return OutcomeOfHttpAnswer(*PackHttpAnswer(http));
    CallOutcome failed;
    failed.kind = CallOutcome::Kind::kFailed;
    failed.why = "HTTP 404";
    return failed;
  }

  CallMemos memos;
  PipelineRig rig;
  VerdictAttempts attempts;
  std::vector<HttpCallRequest> requests;
  std::function<std::string(const HttpCallRequest&)> answer = [](const HttpCallRequest&) {
    return R"({"score":7})";
  };
};

TEST(CallStageTest, PostsTheRecordAndMakesItsNewValueOfTheAnswer) {
  CallRig rig(
      "stages:\n  - call: { http: 'http://s/score', result: '{ v = r.v, score = response.body.score }' }\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":1})"}, {"b", R"({"v":2})"}}).ok());
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre(R"(a {"score":7,"v":1})", R"(b {"score":7,"v":2})"));
  ASSERT_EQ(rig.requests.size(), 2u);
  EXPECT_EQ(rig.requests[0].method, "POST");
  EXPECT_EQ(rig.requests[0].url, "http://s/score");
  EXPECT_EQ(rig.requests[0].body, R"({"v":1})");
  EXPECT_EQ(rig.requests[0].content_type, "application/json");
  EXPECT_EQ(rig.requests[0].label, "0.0.1.0");
  EXPECT_EQ(rig.requests[1].label, "0.0.1.1");
}

TEST(CallStageTest, MakesUrlsAndBodiesOfExpressions) {
  CallRig rig(
      "stages:\n  - call: { http: 'http://s/users/', method: PUT, path: '{ r.user, \"notes\" }', query: { q: "
      "r.q, n: r.n, "
      "none: r.none }, body: '{ text = r.q }', result: response.status }\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"user":"a/b","q":"x & y","n":1.5})"}}).ok());
  ASSERT_EQ(rig.requests.size(), 1u);
  EXPECT_EQ(rig.requests[0].url, "http://s/users/a%2Fb/notes?q=x%20%26%20y&n=1.5");
  EXPECT_EQ(rig.requests[0].body, R"({"text":"x & y"})");
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre("a 200"));
}

// One message, behind the one that is fed.
class OneAhead final : public MessagesAhead {
 public:
  explicit OneAhead(const FrameView& frame) : frame_(frame) {}
  bool Next(StepInput* input) override {
    *input = StepInput();
    input->offset = Offset(2);
    input->broker_time_ms = 2000;
    input->frame = &frame_;
    return !std::exchange(shown_, true);
  }

 private:
  const FrameView& frame_;
  bool shown_ = false;
};

// Who puts a rate in front of a service means its requests, also those that are made ahead.
TEST(CallStageTest, NothingIsAskedAheadOfARateThatIsWaitedFor) {
  const std::string call = "  - call: { http: 'http://s', result: r }\n";
  const std::string rate = "  - rate_limit: { rate: 5/s, burst: 9, per: stage, excess: wait }\n";
  const std::string bytes = FrameOf({{"b", "2"}});
  const absl::StatusOr<FrameView> behind = FrameView::Parse(bytes);
  ASSERT_TRUE(behind.ok());
  for (const auto& [stages, requests] : {std::pair(call, 2u), std::pair(rate + call, 1u)}) {
    CallRig rig("stages:\n" + stages);
    OneAhead ahead(*behind);
    rig.rig.ahead = &ahead;
    ASSERT_TRUE(rig.rig.Feed({{"a", "1"}}).ok());
    const auto asked = rig.memos.TakeAsked();
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked.front().second.size(), requests) << stages;
  }
}

TEST(CallStageTest, InABatchEveryBodyIsAnItemInJson) {
  CallRig rig(
      "stages:\n  - call: { http: 'http://s', body: r.text, result: response.status }\n"
      "    batch: { size: 50, linger: 20ms }\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"text":"x \"y\""})"}, {"a", R"({"text":7})"}}).ok());
  ASSERT_EQ(rig.requests.size(), 2u);
  EXPECT_EQ(rig.requests[0].body, R"("x \"y\"")");
  EXPECT_EQ(rig.requests[0].content_type, "application/json");
  EXPECT_EQ(rig.requests[1].body, "7");
}

TEST(CallStageTest, ARecordWithoutAPlaceInTheUrlAsksNothing) {
  CallRig rig("stages:\n  - call: { http: 'http://s', method: GET, path: r.user, result: r }\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"user":".."})"}, {"a", "{}"}, {"a", R"({"user":{"a":1}})"}}).ok());
  EXPECT_THAT(rig.requests, IsEmpty());
  EXPECT_THAT(rig.rig.sink.letters, ElementsAre("0 call-0: a part of `path` is nil, empty or dots",
                                                "1 call-0: a part of `path` is nil, empty or dots",
                                                HasSubstr("2 call-0: `path` is a table")));
}

TEST(CallStageTest, WhatFailsForGoodIsADeadLetter) {
  CallRig rig("stages:\n  - call: { http: 'http://s', result: r }\n");
  rig.rig.attempts = &rig.attempts;
  rig.answer = [](const HttpCallRequest& request) { return request.body == "1" ? "" : "{}"; };
  ASSERT_TRUE(rig.Feed({{"a", "1"}, {"a", "2"}}).ok());
  EXPECT_THAT(rig.rig.sink.letters, ElementsAre("0 call-0: HTTP 404"));
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre("a 2"));
}

TEST(CallStageTest, AResultThatFailsIsTheRecordsError) {
  CallRig rig("stages:\n  - call: { http: 'http://s', result: response.body.a.b }\n");
  rig.rig.attempts = &rig.attempts;
  ASSERT_TRUE(rig.Feed({{"a", "1"}}).ok());
  ASSERT_EQ(rig.rig.sink.letters.size(), 1u);
  EXPECT_THAT(rig.rig.sink.letters[0], HasSubstr("0 call-0: "));
}

}  // namespace
}  // namespace millrace
