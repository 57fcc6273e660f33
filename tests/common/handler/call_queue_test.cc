#include "common/handler/call_queue.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

HandlerCall CallOf(uint64_t serial, const std::string& key, uint64_t after = 0, uint64_t asker = 1) {
  HandlerCall call;
  call.asker = asker;
  call.serial = serial;
  call.key = key;
  call.after = after;
  if (after == 0) call.state = "s";
  return call;
}

std::vector<uint64_t> SerialsOf(const CallQueue::Tasks& tasks) {
  std::vector<uint64_t> serials;
  for (const auto& task : tasks) serials.push_back(task->call.serial);
  return serials;
}

JudgedResult AllDone(const CallQueue::Tasks& tasks) {
  JudgedResult result;
  result.done = tasks.size();
  result.calls.resize(tasks.size());
  return result;
}

class CallQueueTest : public testing::Test {
 protected:
  CallQueue::Batch Next(size_t calls = 100, bool idle = true) { return queue_.Next({calls, 1 << 20}, idle); }
  std::vector<uint64_t> Answered(CallOutcome::Kind kind) {
    std::vector<uint64_t> serials;
    for (const CallAnswer& answer : answers_) {
      if (answer.outcome.kind == kind) serials.push_back(answer.serial);
    }
    return serials;
  }

  CallQueue queue_;
  std::vector<CallAnswer> answers_;
};

TEST_F(CallQueueTest, AKeyIsInOneBatchAtATime) {
  queue_.Add(CallOf(1, "a"), &answers_);
  queue_.Add(CallOf(2, "b"), &answers_);
  queue_.Add(CallOf(3, "a", /*after=*/1), &answers_);
  CallQueue::Batch first = Next(1);
  EXPECT_THAT(SerialsOf(first.tasks), ElementsAre(1));
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(2));
  EXPECT_THAT(Next().tasks, IsEmpty());
  JudgedResult done = AllDone(first.tasks);
  queue_.Accept(std::move(first.tasks), std::move(done), &answers_);
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(3));
}

TEST_F(CallQueueTest, CallsOfAKeyGoTogetherAndOnTheStateThatWasLeft) {
  queue_.Add(CallOf(1, "a"), &answers_);
  queue_.Add(CallOf(2, "a", 1), &answers_);
  queue_.Add(CallOf(3, "a", 2), &answers_);
  CallQueue::Batch batch = Next(2);
  EXPECT_THAT(SerialsOf(batch.tasks), ElementsAre(1, 2));
  EXPECT_EQ(CallQueue::CallsOf(batch.tasks).front().state, "s");
  JudgedResult result = AllDone(batch.tasks);
  result.calls[1].state = "t";
  queue_.Accept(std::move(batch.tasks), std::move(result), &answers_);
  batch = Next();
  EXPECT_THAT(SerialsOf(batch.tasks), ElementsAre(3));
  EXPECT_EQ(CallQueue::CallsOf(batch.tasks).front().state, "t");
}

// Who asked had not heard yet that call 1 is answered. Only it knows what that call left.
TEST_F(CallQueueTest, WhatBuildsOnACallThatIsNotHereIsVoid) {
  queue_.Add(CallOf(1, "a"), &answers_);
  CallQueue::Batch batch = Next();
  JudgedResult done = AllDone(batch.tasks);
  queue_.Accept(std::move(batch.tasks), std::move(done), &answers_);
  queue_.Add(CallOf(2, "a", 1), &answers_);
  queue_.Add(CallOf(3, "b"), &answers_);
  queue_.Add(CallOf(4, "b", 2), &answers_);
  EXPECT_THAT(Answered(CallOutcome::Kind::kVoid), ElementsAre(2, 4));
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(3));
}

TEST_F(CallQueueTest, AStateOfItsOwnWaitsForTheNextBatch) {
  queue_.Add(CallOf(1, "a"), &answers_);
  queue_.Add(CallOf(2, "a"), &answers_);  // its asker knows better than what call 1 leaves
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(1));
}

TEST_F(CallQueueTest, WhatWasNotLookedAtComesAgainInOrder) {
  for (uint64_t serial = 1; serial <= 3; ++serial)
    queue_.Add(CallOf(serial, serial == 2 ? "b" : "a", serial == 3 ? 1 : 0), &answers_);
  CallQueue::Batch batch = Next();
  EXPECT_THAT(SerialsOf(batch.tasks), ElementsAre(1, 3, 2));
  JudgedResult result = AllDone(batch.tasks);
  result.done = 1;
  result.calls[1].kind = result.calls[2].kind = CallOutcome::Kind::kVoid;
  queue_.Accept(std::move(batch.tasks), std::move(result), &answers_);
  EXPECT_THAT(Answered(CallOutcome::Kind::kDone), ElementsAre(1));
  EXPECT_THAT(SerialsOf(Next().tasks), testing::UnorderedElementsAre(2, 3));
}

TEST_F(CallQueueTest, WhatBuildsOnAFailedCallIsVoid) {
  queue_.Add(CallOf(1, "a"), &answers_);
  queue_.Add(CallOf(2, "a", 1), &answers_);
  queue_.Add(CallOf(3, "b"), &answers_);
  CallQueue::Batch batch = Next();
  queue_.Add(CallOf(4, "a", 2), &answers_);
  queue_.Add(CallOf(5, "a"), &answers_);
  JudgedResult result = AllDone(batch.tasks);
  result.calls[0].kind = CallOutcome::Kind::kFailed;
  result.calls[1].kind = CallOutcome::Kind::kVoid;
  queue_.Accept(std::move(batch.tasks), std::move(result), &answers_);
  EXPECT_THAT(Answered(CallOutcome::Kind::kFailed), ElementsAre(1));
  EXPECT_THAT(Answered(CallOutcome::Kind::kDone), ElementsAre(3));
  EXPECT_THAT(Answered(CallOutcome::Kind::kVoid), ElementsAre(2, 4));
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(5));
}

TEST_F(CallQueueTest, ThePoisonAmongManyIsFoundAndNobodyElsePays) {
  constexpr uint64_t kCalls = 300;
  for (uint64_t poison = 1; poison <= kCalls; poison += 37) {
    CallQueue queue;
    std::vector<CallAnswer> answers;
    for (uint64_t serial = 1; serial <= kCalls; ++serial) {
      // Some keys have several calls.
      const uint64_t key = serial % 200;
      queue.Add(CallOf(serial, absl::StrCat(key), serial > 200 ? serial - 200 : 0), &answers);
    }
    int rounds = 0;
    std::vector<uint64_t> last_of_key(200, 0);
    while (true) {
      CallQueue::Batch batch = queue.Next({kCalls, 1 << 20}, true);
      if (batch.tasks.empty()) break;
      ++rounds;
      const std::vector<uint64_t> serials = SerialsOf(batch.tasks);
      if (std::count(serials.begin(), serials.end(), poison) > 0) {
        queue.Lose(std::move(batch.tasks), {true, true, "it died"}, &answers);
        continue;
      }
      for (const uint64_t serial : serials) {
        EXPECT_LT(last_of_key[serial % 200], serial) << "calls of a key change places";
        last_of_key[serial % 200] = serial;
      }
      JudgedResult done = AllDone(batch.tasks);
      queue.Accept(std::move(batch.tasks), std::move(done), &answers);
    }
    size_t lost = 0, voided = 0;
    for (const CallAnswer& answer : answers) {
      lost += answer.outcome.kind == CallOutcome::Kind::kLost ? 1 : 0;
      voided += answer.outcome.kind == CallOutcome::Kind::kVoid ? 1 : 0;
      EXPECT_TRUE(answer.outcome.kind != CallOutcome::Kind::kLost || answer.serial == poison);
    }
    EXPECT_EQ(lost, 1U);
    EXPECT_LE(voided, 1U);  // the one behind it of its key
    EXPECT_EQ(answers.size(), kCalls);
    EXPECT_LE(rounds, 30);
  }
}

TEST_F(CallQueueTest, ABatchThatWasNotBegunIsNoSuspectBeforeTheThirdTime) {
  queue_.Add(CallOf(1, "a"), &answers_);
  queue_.Add(CallOf(2, "b"), &answers_);
  for (int time = 0; time < kMaxUnbegunLosses; ++time) {
    CallQueue::Batch batch = Next();
    EXPECT_FALSE(batch.suspects);
    EXPECT_THAT(SerialsOf(batch.tasks), ElementsAre(1, 2));
    queue_.Lose(std::move(batch.tasks), {false, true, "it died"}, &answers_);
  }
  EXPECT_THAT(Next(100, /*idle=*/false).tasks, IsEmpty());  // suspects go to who has nothing else
  const CallQueue::Batch batch = Next();
  EXPECT_TRUE(batch.suspects);
  EXPECT_EQ(batch.tasks.size(), 1U);
}

TEST_F(CallQueueTest, ASuspectBesideOthersAtItsHandlerIsNotToBlame) {
  queue_.Add(CallOf(1, "a"), &answers_);
  for (int time = 0; time < 5; ++time) {
    CallQueue::Batch batch = Next();
    queue_.Lose(std::move(batch.tasks), {true, /*alone=*/false, "it died"}, &answers_);
  }
  EXPECT_THAT(answers_, IsEmpty());
  CallQueue::Batch batch = Next();
  queue_.Lose(std::move(batch.tasks), {true, true, "it died"}, &answers_);
  EXPECT_THAT(Answered(CallOutcome::Kind::kLost), ElementsAre(1));
}

TEST_F(CallQueueTest, ACallThatWasLostAloneComesBackAlone) {
  queue_.Add(CallOf(1, "a"), &answers_);
  HandlerCall again = CallOf(2, "b");
  again.suspect = true;
  queue_.Add(again, &answers_);
  const CallQueue::Batch batch = Next();
  EXPECT_TRUE(batch.suspects);
  EXPECT_THAT(SerialsOf(batch.tasks), ElementsAre(2));
}

TEST_F(CallQueueTest, WhoLetGoGetsNoAnswers) {
  queue_.Add(CallOf(1, "a", 0, /*asker=*/1), &answers_);
  queue_.Add(CallOf(2, "b", 0, /*asker=*/2), &answers_);
  CallQueue::Batch batch = Next();
  queue_.Add(CallOf(3, "a", 1, 1), &answers_);
  queue_.Add(CallOf(4, "c", 0, 1), &answers_);
  queue_.DropAsker(1);
  EXPECT_EQ(queue_.waiting(), 0U);
  JudgedResult done = AllDone(batch.tasks);
  queue_.Accept(std::move(batch.tasks), std::move(done), &answers_);
  EXPECT_THAT(Answered(CallOutcome::Kind::kDone), ElementsAre(2));
  EXPECT_THAT(Next().tasks, IsEmpty());
}

TEST_F(CallQueueTest, WhoLetGoAndAsksAnewIsAnsweredThoughAnOldCallOfTheKeyIsOut) {
  queue_.Add(CallOf(1, "a"), &answers_);
  CallQueue::Batch old = Next();
  queue_.DropAsker(1);
  queue_.Add(CallOf(2, "a"), &answers_);
  CallQueue::Batch anew = Next();
  EXPECT_THAT(SerialsOf(anew.tasks), ElementsAre(2));
  JudgedResult old_done = AllDone(old.tasks), new_done = AllDone(anew.tasks);
  queue_.Accept(std::move(old.tasks), std::move(old_done), &answers_);
  queue_.Accept(std::move(anew.tasks), std::move(new_done), &answers_);
  EXPECT_THAT(Answered(CallOutcome::Kind::kDone), ElementsAre(2));
}

TEST_F(CallQueueTest, TheEndOfTheInputIsAWholeBatchs) {
  queue_.Add(CallOf(1, "a"), &answers_);
  HandlerCall last = CallOf(2, "b");
  last.ending = true;
  queue_.Add(last, &answers_);
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(1));
  EXPECT_THAT(SerialsOf(Next().tasks), ElementsAre(2));
}

}  // namespace
}  // namespace millrace
