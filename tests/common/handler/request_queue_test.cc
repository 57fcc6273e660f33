#include "common/handler/request_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RequestQueueTest : public testing::Test {
 protected:
  RequestQueueTest() {
    stage_.concurrency = 2;
    stage_.retry = {3, {absl::Milliseconds(100), absl::Seconds(1)}};
  }
  RequestQueue& queue() {
    if (queue_ == nullptr) queue_ = std::make_unique<RequestQueue>(std::make_shared<const CallStage>(stage_));
    return *queue_;
  }
  void Add(uint64_t serial, const std::string& key, uint64_t asker = 1) {
    HandlerCall call;
    call.asker = asker;
    call.serial = serial;
    call.key = key;
    call.packed = PackHttpRequest({"GET", StrCat("http://x/", serial), "", "", StrCat("0.0.", serial, ".0")});
    queue().Add(std::move(call), now_, &answers_);
  }
  // The serials in the URLs of all that may go out now.
  std::vector<std::string> Go() {
    std::vector<std::string> urls;
    while (const auto out = queue().Next(now_)) {
      urls.push_back(out->request->url.substr(std::string("http://x/").size()));
      ids_[urls.back()] = out->id;
    }
    return urls;
  }
  void Answer(const std::string& serial, const absl::StatusOr<HttpAnswer>& answer) {
    queue().Take(ids_.at(serial), answer, {now_, absl::UnixEpoch(), share_}, &answers_);
  }
  void Answer(const std::string& serial, long code) {
    HttpAnswer answer;
    answer.code = code;
    Answer(serial, answer);
  }

  CallStage stage_;
  std::unique_ptr<RequestQueue> queue_;
  absl::Duration now_ = absl::Seconds(100);
  double share_ = 0.5;
  std::map<std::string, RequestQueue::Id> ids_;
  std::vector<CallAnswer> answers_;
};

TEST_F(RequestQueueTest, AKeysRequestsGoOneAfterTheOtherAndOthersPass) {
  Add(1, "a");
  Add(2, "a");
  Add(3, "b");
  Add(4, "c");
  EXPECT_THAT(Go(), ElementsAre("1", "3")) << "two at once, and not both of a";
  Answer("3", 200);
  EXPECT_THAT(Go(), ElementsAre("4"));
  Answer("1", 200);
  EXPECT_THAT(Go(), ElementsAre("2"));
  EXPECT_EQ(answers_.size(), 2u);
}

TEST_F(RequestQueueTest, WithoutOrderAKeyHasSeveralOnTheirWay) {
  stage_.by_key = false;
  Add(1, "a");
  Add(2, "a");
  EXPECT_THAT(Go(), ElementsAre("1", "2"));
}

TEST_F(RequestQueueTest, ARequestThatMayBeTakenLaterIsRepeatedInFrontOfItsKeysNext) {
  Add(1, "a");
  Add(2, "a");
  Go();
  Answer("1", 503);
  EXPECT_THAT(Go(), IsEmpty());
  EXPECT_EQ(queue().next_at(), now_ + absl::Milliseconds(50)) << "half of the first pause";
  now_ += absl::Milliseconds(50);
  EXPECT_THAT(Go(), ElementsAre("1"));
  Answer("1", absl::UnavailableError("reset"));
  EXPECT_EQ(queue().next_at(), now_ + absl::Milliseconds(100)) << "half of the second";
  now_ += absl::Milliseconds(100);
  EXPECT_THAT(Go(), ElementsAre("1"));
  Answer("1", 503);
  ASSERT_EQ(answers_.size(), 1u) << "three attempts are all";
  EXPECT_EQ(answers_[0].outcome.kind, CallOutcome::Kind::kFailed);
  EXPECT_EQ(answers_[0].outcome.why, "HTTP 503 (3 times)");
  EXPECT_THAT(Go(), ElementsAre("2"));
}

TEST_F(RequestQueueTest, WaitsAsLongAsTheServiceAsks) {
  Add(1, "a");
  Go();
  HttpAnswer busy;
  busy.code = 429;
  busy.headers.emplace_back("retry-after", "7");
  Answer("1", busy);
  EXPECT_EQ(queue().next_at(), now_ + absl::Seconds(7));
}

TEST_F(RequestQueueTest, WhatIsRefusedFailsAtOnce) {
  Add(1, "a");
  Go();
  HttpAnswer refused;
  refused.code = 404;
  refused.body = "no such user";
  Answer("1", refused);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].outcome.why, "HTTP 404 no such user");
  Add(2, "a");
  Go();
  Answer("2", absl::OutOfRangeError("the answer has more than 5 bytes"));
  EXPECT_THAT(answers_[1].outcome.why, HasSubstr("more than 5 bytes"));
}

TEST_F(RequestQueueTest, WhoGoesAwayTakesItsRequestsAlong) {
  Add(1, "a", 7);
  Add(2, "a", 7);
  Add(3, "a", 8);
  EXPECT_THAT(Go(), ElementsAre("1", "3"));
  EXPECT_THAT(queue().DropAsker(7), ElementsAre(ids_.at("1")));
  Answer("1", 200);
  EXPECT_THAT(answers_, IsEmpty());
  Answer("3", 200);
  EXPECT_EQ(answers_.size(), 1u);
  EXPECT_EQ(queue().waiting() + queue().out(), 0u);
}

TEST(CallRequestTest, ComesBackAsItWas) {
  const HttpCallRequest request = {"POST", "http://x/a?b=c", "application/json", "{\"a\":1}", "0.1.2.3"};
  const auto back = UnpackHttpRequest(PackHttpRequest(request));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->method, request.method);
  EXPECT_EQ(back->url, request.url);
  EXPECT_EQ(back->body, request.body);
  EXPECT_EQ(back->label, request.label);
  EXPECT_FALSE(UnpackHttpRequest("garbage").ok());
}

TEST(CallRequestTest, AnAnswerInJsonIsItsValueAndGarbageIsAnError) {
  HttpAnswer answer;
  answer.code = 200;
  answer.headers = {{"content-type", "application/json; charset=utf-8"}};
  answer.body = R"({"score": 7, "of": [1, 2]})";
  std::string json;
  ASSERT_TRUE(AppendPackedJson(*PackHttpAnswer(answer), &json).ok());
  EXPECT_EQ(json, R"({"status":200,"body":{"score":7,"of":[1,2]},)"
                  R"("headers":{"content-type":"application/json; charset=utf-8"}})");
  answer.body = "<html>";
  EXPECT_THAT(std::string(PackHttpAnswer(answer).status().message()), HasSubstr("the answer is no JSON"));
  answer.headers.clear();
  json.clear();
  ASSERT_TRUE(AppendPackedJson(*PackHttpAnswer(answer), &json).ok());
  EXPECT_EQ(json, R"({"status":200,"body":"<html>","headers":{}})");
}

TEST(CallRequestTest, EncodesWhatHasAMeaningInUrls) {
  EXPECT_EQ(PercentEncode("aZ9-._~"), "aZ9-._~");
  EXPECT_EQ(PercentEncode("a b/c?d&e=ü"), "a%20b%2Fc%3Fd%26e%3D%C3%BC");
}

}  // namespace
}  // namespace millrace
