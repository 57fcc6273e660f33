// Requests of several records at once: which go together, when they leave, and what becomes of each record.
#include "common/handler/request_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/handler/request_queue.h"
#include "common/strings.h"
#include "common/value/value.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

HttpAnswer JsonAnswer(std::string body) {
  HttpAnswer answer;
  answer.code = 200;
  answer.headers = {{"content-type", "application/json"}};
  answer.body = std::move(body);
  return answer;
}

std::string Json(const absl::StatusOr<std::string>& packed) {
  if (!packed.ok()) return StrCat("error: ", ToStd(packed.status().message()));
  std::string json;
  EXPECT_TRUE(AppendPackedJson(*packed, &json).ok());
  return json;
}

class BatchedRequestsTest : public testing::Test {
 protected:
  BatchedRequestsTest() {
    stage_.concurrency = 2;
    stage_.retry = {2, {absl::Milliseconds(100), absl::Seconds(1)}};
    stage_.batch = {4, absl::Milliseconds(20)};
  }
  RequestQueue& queue() {
    if (queue_ == nullptr) queue_ = std::make_unique<RequestQueue>(std::make_shared<const CallStage>(stage_));
    return *queue_;
  }
  void Add(uint64_t serial, const std::string& key, uint64_t asker = 1, const std::string& url = "http://x") {
    HandlerCall call;
    call.asker = asker;
    call.serial = serial;
    call.key = key;
    call.packed =
        PackHttpRequest({"POST", url, "application/json", StrCat(serial), StrCat("0.0.", serial, ".0")});
    queue().Add(std::move(call), now_, &answers_);
  }
  // The bodies of all that may go out now, by their ids in `out_`.
  std::vector<std::string> Go() {
    std::vector<std::string> bodies;
    while (const auto out = queue().Next(now_)) {
      bodies.push_back(out->request->body);
      ids_.push_back(out->id);
      digests_.emplace_back(out->digest);
    }
    return bodies;
  }
  // To the request that was the nth to go, from 0.
  void Answer(size_t nth, const absl::StatusOr<HttpAnswer>& answer) {
    queue().Take(ids_.at(nth), answer, {now_, absl::UnixEpoch(), 0.5}, &answers_);
  }
  void Answer(size_t nth, long code) {
    HttpAnswer answer;
    answer.code = code;
    Answer(nth, answer);
  }
  // What came of each call: its body, or why it failed.
  std::vector<std::string> Answers() {
    std::vector<std::string> texts;
    for (const CallAnswer& answer : answers_) {
      const bool done = answer.outcome.kind == CallOutcome::Kind::kDone;
      texts.push_back(
          StrCat(answer.serial, " ",
                 done ? Json(std::string(answer.outcome.outputs.front().value)) : answer.outcome.why));
    }
    answers_.clear();
    return texts;
  }

  CallStage stage_;
  std::unique_ptr<RequestQueue> queue_;
  absl::Duration now_ = absl::Seconds(100);
  std::vector<RequestQueue::Id> ids_;
  std::vector<std::string> digests_;
  std::vector<CallAnswer> answers_;
};

TEST_F(BatchedRequestsTest, ABatchLeavesWhenItIsFull) {
  for (uint64_t serial = 1; serial <= 3; ++serial) Add(serial, StrCat("k", serial));
  EXPECT_THAT(Go(), IsEmpty());
  Add(4, "k4");
  Add(5, "k5");
  EXPECT_THAT(Go(), ElementsAre("[1,2,3,4]"));
  EXPECT_EQ(queue().waiting(), 1u);
  EXPECT_EQ(queue().out(), 1u);
}

TEST_F(BatchedRequestsTest, OrWhenItsFirstHasWaitedForLinger) {
  Add(1, "a");
  now_ += absl::Milliseconds(15);
  Add(2, "b");
  EXPECT_EQ(queue().next_at(), now_ + absl::Milliseconds(5));
  now_ += absl::Milliseconds(5);
  EXPECT_THAT(Go(), ElementsAre("[1,2]"));
  EXPECT_EQ(queue().next_at(), absl::InfiniteDuration());
}

TEST_F(BatchedRequestsTest, EachRecordGetsItsItem) {
  for (uint64_t serial = 1; serial <= 4; ++serial) Add(serial, StrCat("k", serial));
  Go();
  Answer(0, JsonAnswer(R"([10, {"a": 1}, null, "x"])"));
  EXPECT_THAT(Answers(),
              ElementsAre(HasSubstr(R"(1 {"status":200,"body":10,)"), HasSubstr(R"("body":{"a":1})"),
                          HasSubstr(R"("body":null)"), HasSubstr(R"(4 {"status":200,"body":"x")")));
  EXPECT_EQ(queue().waiting() + queue().out(), 0u);
}

TEST_F(BatchedRequestsTest, AKeysRecordsAreInOneBatchInOrderOrInOneAfterTheOther) {
  Add(1, "a");
  Add(2, "a");
  Add(3, "b");
  Add(4, "a");
  Add(5, "a");
  Add(6, "a");
  EXPECT_THAT(Go(), ElementsAre("[1,2,4,5]"));
  now_ += absl::Milliseconds(20);
  EXPECT_THAT(Go(), ElementsAre("[3]")) << "a's next waits for what is out of it";
  Answer(0, JsonAnswer("[1,2,3,4]"));
  EXPECT_THAT(Go(), IsEmpty()) << "and for company";
  now_ += absl::Milliseconds(20);
  EXPECT_THAT(Go(), ElementsAre("[6]"));
}

TEST_F(BatchedRequestsTest, WithoutOrderAKeyIsInSeveralBatchesAtOnce) {
  stage_.by_key = false;
  for (uint64_t serial = 1; serial <= 8; ++serial) Add(serial, "a");
  EXPECT_THAT(Go(), ElementsAre("[1,2,3,4]", "[5,6,7,8]"));
}

TEST_F(BatchedRequestsTest, OneUrlMakesABatch) {
  Add(1, "a", 1, "http://x/1");
  Add(2, "b", 1, "http://x/2");
  Add(3, "c", 1, "http://x/1");
  Add(4, "c", 1, "http://x/2");
  now_ += absl::Milliseconds(20);
  EXPECT_THAT(Go(), ElementsAre("[1,3]", "[2]"));
}

TEST_F(BatchedRequestsTest, WhatMayBeTakenLaterIsRepeatedAsItWas) {
  for (uint64_t serial = 1; serial <= 4; ++serial) Add(serial, StrCat("k", serial));
  Go();
  Answer(0, 503);
  Add(5, "k1");
  now_ += absl::Milliseconds(50);
  EXPECT_THAT(Go(), ElementsAre("[1,2,3,4]")) << "k1's next stands behind it";
  EXPECT_EQ(digests_[0], digests_[1]) << "its Idempotency-Key";
  EXPECT_THAT(Answers(), IsEmpty());
}

TEST_F(BatchedRequestsTest, ARefusedBatchGoesInPartsUntilTheOneThatIsRefusedStandsAlone) {
  stage_.concurrency = 100;
  stage_.batch = {16, absl::Milliseconds(20)};
  for (uint64_t serial = 1; serial <= 16; ++serial) Add(serial, StrCat("k", serial));
  ASSERT_EQ(Go().size(), 1u);
  Answer(0, 400);
  EXPECT_THAT(Answers(), IsEmpty());
  EXPECT_THAT(Go(),
              ElementsAre("[1,2]", "[3,4]", "[5,6]", "[7,8]", "[9,10]", "[11,12]", "[13,14]", "[15,16]"));
  for (size_t part = 1; part <= 8; ++part) part == 3 ? Answer(part, 400) : Answer(part, JsonAnswer("[0,0]"));
  EXPECT_EQ(Answers().size(), 14u);
  EXPECT_THAT(Go(), ElementsAre("[5]", "[6]"));
  Answer(9, JsonAnswer("[7]"));
  HttpAnswer refused;
  refused.code = 400;
  refused.body = "no such user";
  Answer(10, refused);
  EXPECT_THAT(Answers(), ElementsAre(HasSubstr(R"(5 {"status":200,"body":7)"), "6 HTTP 400 no such user"));
  EXPECT_EQ(queue().waiting() + queue().out(), 0u);
}

TEST_F(BatchedRequestsTest, WithoutAttemptsLeftItGoesInPartsWithAttemptsOfTheirOwn) {
  stage_.batch = {2, absl::Milliseconds(20)};
  Add(1, "a");
  Add(2, "a");
  Go();
  for (size_t nth = 0; nth < 2; ++nth) {
    Answer(nth, 500);
    now_ += absl::Seconds(1);
    Go();
  }
  EXPECT_EQ(ids_.size(), 3u)
      << "two attempts together, and then the first of them alone: they are of one key";
  Answer(2, 500);
  now_ += absl::Seconds(1);
  EXPECT_THAT(Go(), ElementsAre("[1]"));
  Answer(3, 500);
  EXPECT_THAT(Answers(), ElementsAre("1 HTTP 500 (2 times)"));
  EXPECT_THAT(Go(), ElementsAre("[2]"));
}

TEST_F(BatchedRequestsTest, WhatIsDividedStaysInFrontOfItsKey) {
  stage_.batch = {3, absl::Milliseconds(20)};
  Add(1, "a");
  Add(2, "b");
  Add(3, "a");
  Add(4, "a");
  EXPECT_THAT(Go(), ElementsAre("[1,3,4]")) << "what is ready of a key goes along";
  Add(5, "a");
  Add(6, "a");
  Add(7, "a");
  Answer(0, 400);
  EXPECT_THAT(Go(), ElementsAre("[1]"));
  Answer(1, JsonAnswer("[0]"));
  now_ += absl::Seconds(1);
  EXPECT_THAT(Go(), ElementsAre("[3]", "[2]"));
  Answer(2, JsonAnswer("[0]"));
  EXPECT_THAT(Go(), ElementsAre("[4]"));
  Answer(4, JsonAnswer("[0]"));
  EXPECT_THAT(Go(), ElementsAre("[5,6,7]"));
}

TEST_F(BatchedRequestsTest, WhoGoesAwayLeavesTheOthersOfItsBatch) {
  Add(1, "a", 7);
  Add(2, "b", 8);
  Add(3, "c", 7);
  Add(4, "d", 8);
  Go();
  EXPECT_THAT(queue().DropAsker(7), IsEmpty()) << "the request is wanted still";
  Answer(0, JsonAnswer("[1,2,3,4]"));
  EXPECT_THAT(Answers(), ElementsAre(HasSubstr(R"(2 {"status":200,"body":2)"), HasSubstr("4 ")));
  EXPECT_EQ(queue().waiting() + queue().out(), 0u);
}

TEST_F(BatchedRequestsTest, ARepeatIsWithoutThoseThatNobodyWaitsFor) {
  Add(1, "a", 7);
  Add(2, "b", 8);
  Add(3, "c", 7);
  Add(4, "d", 8);
  Go();
  Answer(0, 503);
  queue().DropAsker(7);
  now_ += absl::Milliseconds(50);
  EXPECT_THAT(Go(), ElementsAre("[2,4]"));
  EXPECT_NE(digests_[0], digests_[1]) << "another request";
  EXPECT_THAT(queue().DropAsker(8), ElementsAre(ids_[1])) << "nobody wants it any more";
  EXPECT_EQ(queue().waiting() + queue().out(), 0u);
}

TEST_F(BatchedRequestsTest, ABatchHasNoMoreBytesThanItMay) {
  const std::string large(kMaxBatchRequestBytes / 2, '7');
  for (uint64_t serial = 1; serial <= 4; ++serial) {
    HandlerCall call;
    call.asker = 1;
    call.serial = serial;
    call.key = "a";
    call.packed = PackHttpRequest({"POST", "http://x", "application/json", large, "l"});
    queue().Add(std::move(call), now_, &answers_);
  }
  const auto out = queue().Next(now_);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->calls, 2u);
}

TEST(SplitAnswerTest, WhatIsNoListIsEverybodys) {
  const auto answers = SplitAnswer(JsonAnswer(R"({"taken": 2})"), 2);
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 2u);
  EXPECT_EQ(Json((*answers)[0]), Json((*answers)[1]));
  EXPECT_THAT(Json((*answers)[0]), HasSubstr(R"("body":{"taken":2})"));
  HttpAnswer nothing;
  nothing.code = 204;
  EXPECT_THAT(Json(SplitAnswer(nothing, 3)->at(2)), HasSubstr(R"({"status":204,"body":"")"));
}

TEST(SplitAnswerTest, IsRefusedWhereItIsNotTheirs) {
  EXPECT_EQ(ToStd(SplitAnswer(JsonAnswer("[1]"), 2).status().message()),
            "the answer is a list of 1, and the request was one of 2");
  EXPECT_THAT(std::string(SplitAnswer(JsonAnswer("[1"), 1).status().message()), HasSubstr("no JSON"));
  EXPECT_THAT(
      std::string(
          SplitAnswer(JsonAnswer(StrCat("{\"a\":\"", std::string(5000, 'x'), "\"}")), 2).status().message()),
      HasSubstr("the answer is no list, and takes 5"));
}

TEST(SplitAnswerTest, AnItemThatIsTooLargeIsItsRecordsError) {
  const auto answers =
      SplitAnswer(JsonAnswer(StrCat("[1,\"", std::string(kMaxCallRecordedBytes, 'x'), "\"]")), 2);
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_TRUE((*answers)[0].ok());
  EXPECT_THAT(std::string((*answers)[1].status().message()), HasSubstr("more than"));
}

TEST(RequestIdTest, TellsRequestsOfOtherRecordsApart) {
  const HttpCallRequest one = {"POST", "http://x", "application/json", "1", "0.0.1.0"};
  const HttpCallRequest same_body = {"POST", "http://x", "application/json", "1", "0.0.2.0"};
  EXPECT_NE(RequestId({&one, &one}), RequestId({&one, &same_body}));
  EXPECT_EQ(RequestId({&one, &same_body}), RequestId({&one, &same_body}));
}

}  // namespace
}  // namespace millrace
