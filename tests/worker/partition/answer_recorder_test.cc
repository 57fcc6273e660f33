#include "worker/partition/answer_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/handler/call_request.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

HandlerCall RequestOf(uint64_t serial, uint64_t offset, const std::string& url = "http://x") {
  HandlerCall call;
  call.asker = 1;
  call.serial = serial;
  call.place.offset = Offset(offset);
  call.packed = PackHttpRequest({"GET", url, "", "", ""});
  return call;
}
CallAnswer AnswerOf(uint64_t serial, const std::string& packed) {
  return {1, serial, OutcomeOfHttpAnswer(packed)};
}
std::vector<std::string> Told(const std::vector<CallAnswer>& answers) {
  std::vector<std::string> told;
  for (const CallAnswer& answer : answers) {
    told.push_back(std::to_string(answer.serial) + " " + std::string(answer.outcome.outputs.front().value));
  }
  return told;
}

class AnswerRecorderTest : public testing::Test {
 protected:
  void Ask(const HandlerCall& call) {
    recorder_.NoteAsked("s", recorder_.TakeKnown("s", {call}, &known_now_));
  }
  bool Hold(CallAnswer answer) { return recorder_.Hold(&answer); }
  std::vector<Verdict> Order() {
    std::vector<Verdict> order;
    recorder_.AppendOrder(&order);
    return order;
  }

  RecordedAnswers known_;
  AnswerRecorder recorder_{&known_};
  std::vector<CallAnswer> known_now_;
};

TEST_F(AnswerRecorderTest, AnAnswerCountsWhenItIsWritten) {
  Ask(RequestOf(1, 5));
  EXPECT_TRUE(Hold(AnswerOf(1, "a")));
  const std::vector<Verdict> order = Order();
  ASSERT_EQ(order.size(), 1u);
  EXPECT_EQ(order[0].outcome, Verdict::Outcome::kAnswered);
  EXPECT_EQ(order[0].offset, Offset(5));
  EXPECT_THAT(Told(recorder_.Written(0)), IsEmpty()) << "the broker did not take it";
  EXPECT_EQ(Order().size(), 1u);
  EXPECT_THAT(Told(recorder_.Written(1)), ElementsAre("1 a"));
  EXPECT_TRUE(recorder_.empty());
}

TEST_F(AnswerRecorderTest, OfTwoAnswersToOneRequestTheFirstCounts) {
  Ask(RequestOf(1, 5));
  Ask(RequestOf(2, 5));  // as new code asks for it again
  Ask(RequestOf(3, 5));
  EXPECT_TRUE(Hold(AnswerOf(1, "a")));
  EXPECT_TRUE(Hold(AnswerOf(2, "b")));
  EXPECT_EQ(Order().size(), 1u);
  EXPECT_THAT(Told(recorder_.Written(1)), ElementsAre("1 a", "2 a"));
  CallAnswer late = AnswerOf(3, "c");
  EXPECT_FALSE(recorder_.Hold(&late)) << "it is written down";
  EXPECT_THAT(Told({late}), ElementsAre("3 a"));
  Ask(RequestOf(4, 5));
  EXPECT_THAT(Told(known_now_), ElementsAre("4 a")) << "nobody is asked any more";
}

TEST_F(AnswerRecorderTest, AnAnswerIsToThatVeryRequest) {
  Ask(RequestOf(1, 5));
  EXPECT_TRUE(Hold(AnswerOf(1, "a")));
  recorder_.Written(1);
  for (const HandlerCall& other : {RequestOf(2, 6), RequestOf(3, 5, "http://y")}) Ask(other);
  EXPECT_THAT(known_now_, IsEmpty());
  known_.ForgetUpTo(Offset(5));
  EXPECT_EQ(known_.bytes(), 0u);
}

TEST_F(AnswerRecorderTest, WhatNobodyAnswersIsForgottenBehindItsMessage) {
  for (uint64_t serial = 1; serial <= 3 * kLeastSwept; ++serial) {
    Ask(RequestOf(serial, serial));
    recorder_.ForgetUpTo(Offset(serial));
    EXPECT_LE(recorder_.asked(), kLeastSwept);
  }
}

TEST_F(AnswerRecorderTest, AFailureIsNoAnswer) {
  Ask(RequestOf(1, 5));
  CallAnswer failed{1, 1, {}};
  failed.outcome.kind = CallOutcome::Kind::kFailed;
  EXPECT_FALSE(recorder_.Hold(&failed));
  EXPECT_TRUE(recorder_.empty());
}

}  // namespace
}  // namespace millrace
