// Calls of several messages at once: what is asked, what is used, and what counts for nothing.
#include "common/handler/call_memos.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

HandlerStage StageOf(const std::string& name, HandlerMode mode) {
  HandlerStage stage;
  stage.name = name;
  stage.mode = mode;
  return stage;
}

// Stage 0 has no state, stage 1 has.
class CallMemosTest : public testing::Test {
 protected:
  static constexpr size_t kPlain = 0, kKeyed = 1;

  const CallOutcome* Ask(size_t stage, uint64_t offset, uint32_t record, const std::string& key,
                         const std::string& state = "", const std::string& packed = "v") {
    CallMemos::Request request;
    request.stage = stage;
    request.offset = Offset(offset);
    request.record = record;
    request.key = key;
    request.packed = packed;
    request.state = state;
    return memos_.Ask(request);
  }
  // What was asked since the last time, in order.
  std::vector<HandlerCall> Asked() {
    std::vector<HandlerCall> all;
    for (auto& [stage, calls] : memos_.TakeAsked()) {
      for (HandlerCall& call : calls) all.push_back(std::move(call));
    }
    return all;
  }
  void Answer(uint64_t serial, std::optional<std::string> state,
              CallOutcome::Kind kind = CallOutcome::Kind::kDone) {
    CallOutcome outcome;
    outcome.kind = kind;
    if (state.has_value()) {
      outcome.message = std::make_shared<const std::string>(*state);
      outcome.state = *outcome.message;
    }
    memos_.Take({1, serial, std::move(outcome)});
  }

  CallMemos memos_{1, {StageOf("plain", HandlerMode::kStateless), StageOf("keyed", HandlerMode::kKeyed)}};
};

TEST_F(CallMemosTest, AsksForTheNextMessageOnWhatTheOneBeforeWillLeave) {
  memos_.BeginRun();
  EXPECT_EQ(Ask(kKeyed, 7, 0, "a", "s0"), nullptr);
  memos_.BeginAhead();
  EXPECT_EQ(Ask(kKeyed, 8, 0, "a", "s0"), nullptr);
  const std::vector<HandlerCall> asked = Asked();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].state, "s0");
  EXPECT_EQ(asked[1].state, std::nullopt);
  EXPECT_EQ(asked[1].after, asked[0].serial);

  Answer(asked[0].serial, "s1");
  EXPECT_EQ(memos_.outstanding(Offset(7)), 0U);
  EXPECT_EQ(memos_.outstanding(Offset(8)), 1U);
  memos_.BeginRun();
  EXPECT_NE(Ask(kKeyed, 7, 0, "a", "s0"), nullptr);
  EXPECT_FALSE(memos_.cut());
  memos_.Finish(Offset(7));

  // The answer to the other outlives the message that it was built on.
  Answer(asked[1].serial, "s2");
  memos_.BeginRun();
  const CallOutcome* const outcome = Ask(kKeyed, 8, 0, "a", "s1");
  ASSERT_NE(outcome, nullptr);
  EXPECT_EQ(outcome->state, "s2");
  EXPECT_FALSE(memos_.cut());
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(CallMemosTest, AnAnswerOnAnotherStateThanTheKeyThenHasIsAskedForAnew) {
  memos_.BeginRun();
  Ask(kKeyed, 7, 0, "a", "s0");
  memos_.BeginAhead();
  Ask(kKeyed, 8, 0, "a", "s0");
  const std::vector<HandlerCall> asked = Asked();
  Answer(asked[0].serial, "s1");
  Answer(asked[1].serial, "s2");
  memos_.Finish(Offset(7));  // a stage behind has failed for it: its state was taken back
  memos_.BeginRun();
  EXPECT_EQ(Ask(kKeyed, 8, 0, "a", "s0"), nullptr);
  EXPECT_TRUE(memos_.cut());
  const std::vector<HandlerCall> again = Asked();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].state, "s0");
}

TEST_F(CallMemosTest, WhatIsKnownIsUsedAheadSoThatTheStagesBehindAreAskedToo) {
  memos_.BeginRun();
  Ask(kPlain, 7, 0, "a");
  Ask(kPlain, 7, 1, "b");
  const std::vector<HandlerCall> asked = Asked();
  ASSERT_EQ(asked.size(), 2U);
  Answer(asked[0].serial, std::nullopt);
  Answer(asked[1].serial, std::nullopt);
  memos_.BeginRun();
  EXPECT_NE(Ask(kPlain, 7, 0, "a"), nullptr);
  EXPECT_EQ(Ask(kKeyed, 7, 0, "a", "s"), nullptr);
  EXPECT_NE(Ask(kPlain, 7, 1, "b"), nullptr);
  EXPECT_EQ(Ask(kKeyed, 7, 1, "b", "s"), nullptr);
  EXPECT_EQ(Asked().size(), 2U);
}

TEST_F(CallMemosTest, AFailureAheadIsToldOnlyWhenItsMessageIsAtTheFront) {
  memos_.BeginRun();
  Ask(kKeyed, 7, 0, "a", "s0");
  memos_.BeginAhead();
  Ask(kKeyed, 8, 0, "b", "s0");
  const std::vector<HandlerCall> asked = Asked();
  Answer(asked[1].serial, std::nullopt, CallOutcome::Kind::kFailed);
  memos_.BeginRun();
  EXPECT_EQ(Ask(kKeyed, 7, 0, "a", "s0"), nullptr);
  memos_.BeginAhead();
  EXPECT_EQ(Ask(kKeyed, 8, 0, "b", "s0"), nullptr);
  EXPECT_THAT(memos_.TakeFailures(), IsEmpty());

  Answer(asked[0].serial, "s1");
  memos_.Finish(Offset(7));
  memos_.BeginRun();
  ASSERT_NE(Ask(kKeyed, 8, 0, "b", "s0"), nullptr);
  EXPECT_EQ(memos_.TakeFailures().size(), 1U);
}

TEST_F(CallMemosTest, TheMessageAtTheFrontHasRoomWhateverIsAskedAhead) {
  memos_.BeginRun();
  Ask(kPlain, 7, 1, "c");
  Answer(Asked().front().serial, std::nullopt);  // it is small
  Ask(kPlain, 7, 0, "a");
  memos_.BeginAhead();
  uint32_t record = 0;
  for (; memos_.HasRoomAhead() && record < 2 * kMaxCallsAsked; ++record) Ask(kPlain, 8, record, "b");
  EXPECT_EQ(memos_.outstanding(), kMaxCallsAsked);
  EXPECT_EQ(Ask(kPlain, 8, record, "b"), nullptr);
  EXPECT_EQ(memos_.outstanding(), kMaxCallsAsked);
  Answer(Asked().front().serial, std::nullopt);
  memos_.BeginRun();
  EXPECT_NE(Ask(kPlain, 7, 0, "a"), nullptr);
  EXPECT_EQ(Ask(kKeyed, 7, 0, "a", "s"), nullptr);
  EXPECT_EQ(Ask(kKeyed, 7, 1, "c", "s"), nullptr);
  EXPECT_EQ(memos_.outstanding(Offset(7)), 2U);
}

TEST_F(CallMemosTest, WhatIsAskedAheadIsBoundedByWhatItTakesInMemory) {
  constexpr size_t kLarge = 1 << 20;
  memos_.BeginRun();
  Ask(kPlain, 7, 0, "a");
  memos_.BeginAhead();
  for (uint32_t record = 0; memos_.HasRoomAhead(); ++record) Ask(kPlain, 8, record, "b");
  EXPECT_LE(memos_.outstanding(), kMaxCallBytesKept / kFirstAnswerBytes);
  for (const HandlerCall& call : Asked()) {
    if (call.place.offset == Offset(7) || memos_.bytes() < kMaxCallBytesKept / 2) {
      Answer(call.serial, std::string(kLarge, 's'));
    }
  }
  EXPECT_FALSE(memos_.HasRoomAhead()) << "what is under way may be as large";
  memos_.Finish(Offset(8));
  EXPECT_EQ(memos_.bytes(), 0u);
  memos_.BeginRun();
  Ask(kPlain, 9, 0, "a");
  memos_.BeginAhead();
  for (uint32_t record = 0; memos_.HasRoomAhead(); ++record) Ask(kPlain, 10, record, "b");
  EXPECT_LE(memos_.outstanding(), kMaxCallBytesKept / kLarge);
  EXPECT_GT(memos_.outstanding(), kMaxCallBytesKept / kLarge / 2);
}

TEST_F(CallMemosTest, WhatWasAskedForAMessageThatIsDoneIsForgotten) {
  memos_.BeginRun();
  Ask(kPlain, 7, 0, "a");
  memos_.BeginAhead();
  Ask(kPlain, 8, 0, "a");
  const std::vector<HandlerCall> asked = Asked();
  memos_.Finish(Offset(7));
  EXPECT_EQ(memos_.outstanding(), 1U);
  Answer(asked[0].serial, std::nullopt);
  EXPECT_EQ(memos_.outstanding(), 1U);
  memos_.Finish(Offset(8));
  EXPECT_EQ(memos_.outstanding(), 0U);
}

TEST_F(CallMemosTest, NothingRunsAheadOfAnEarlierRecordOfItsKeyWhoseAnswerIsMissing) {
  memos_.BeginRun();
  EXPECT_EQ(Ask(kPlain, 7, 0, "a"), nullptr);
  EXPECT_EQ(Ask(kPlain, 7, 1, "a"), nullptr);
  EXPECT_EQ(Ask(kPlain, 7, 2, "b"), nullptr);
  const std::vector<HandlerCall> asked = Asked();
  ASSERT_EQ(asked.size(), 3U);
  Answer(asked[1].serial, std::nullopt);
  Answer(asked[2].serial, std::nullopt);
  memos_.BeginRun();
  EXPECT_EQ(Ask(kPlain, 7, 0, "a"), nullptr);
  EXPECT_EQ(Ask(kPlain, 7, 1, "a"), nullptr);  // what is behind would see it without the one before
  EXPECT_NE(Ask(kPlain, 7, 2, "b"), nullptr);
}

}  // namespace
}  // namespace millrace
