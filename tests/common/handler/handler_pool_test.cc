#include "common/handler/handler_pool.h"

#include <map>

#include "common/value/msgpack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_handlers.h"

namespace millrace {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Key;

HandlerStage Stage() { return {"ipc:///x", "j", "uid", "score", HandlerMode::kKeyed, absl::Seconds(2)}; }

class HandlerPoolTest : public testing::Test {
 protected:
  void Start(FakeHandlers::Plan plan = {}) {
    handlers_ = std::make_unique<FakeHandlers>(plan, clock_);
    pool_ = std::make_unique<HandlerPool>(HandlerPool::Options{Stage(), "w1", "life"}, *handlers_, clock_);
  }
  // Calls 1.. of one key each; of these each says in `g` what its handler is to do.
  void Add(uint64_t serial, const std::string& key, const std::string& deed = "") {
    HandlerCall call;
    call.asker = 1;
    call.serial = serial;
    call.key = key;
    call.state = std::string(kNoPackedState);
    PackWriter writer(&call.packed);
    writer.Map(2);
    writer.String("v");
    writer.Int(1);
    writer.String("g");
    writer.String(deed);
    writer.Int(0);
    writer.Nil();
    writer.String("0.0.1.0");
    pool_->Add(std::move(call));
  }
  void Turn() {
    handlers_->Run(*pool_);
    clock_.Advance(absl::Milliseconds(10));
    pool_->Work();
    for (CallAnswer& answer : pool_->TakeAnswers()) {
      EXPECT_FALSE(answered_.contains(answer.serial)) << answer.serial << " is answered twice";
      answered_[answer.serial] = answer.outcome.kind;
      why_[answer.serial] = answer.outcome.why;
    }
  }
  bool RunUntil(size_t answers, int turns = 20'000) {
    for (int i = 0; i < turns && answered_.size() < answers; ++i) Turn();
    return answered_.size() >= answers;
  }

  ManualClock clock_;
  std::unique_ptr<FakeHandlers> handlers_;
  std::unique_ptr<HandlerPool> pool_;
  std::map<uint64_t, CallOutcome::Kind> answered_;
  std::map<uint64_t, std::string> why_;
};

TEST_F(HandlerPoolTest, CallsWaitForAHandlerAndAreThenAnswered) {
  Start({.processes = 0});
  for (uint64_t serial = 1; serial <= 100; ++serial) Add(serial, std::to_string(serial % 7));
  for (int i = 0; i < 100; ++i) Turn();
  EXPECT_THAT(answered_, IsEmpty());
  EXPECT_EQ(pool_->waiting(), 100U);
}

TEST_F(HandlerPoolTest, AHandlerThatDiesTakesOnlyThePoisonWithIt) {
  Start({.processes = 3});
  for (uint64_t serial = 1; serial <= 200; ++serial)
    Add(serial, std::to_string(serial), serial == 77 ? "die" : "");
  ASSERT_TRUE(RunUntil(200));
  for (const auto& [serial, kind] : answered_) {
    EXPECT_EQ(kind, serial == 77 ? CallOutcome::Kind::kLost : CallOutcome::Kind::kDone) << serial;
  }
  EXPECT_EQ(why_[77], "its handler ended");
}

TEST_F(HandlerPoolTest, AHandlerThatHangsIsGivenUpAndOthersGoOn) {
  Start({.processes = 2});
  for (uint64_t serial = 1; serial <= 40; ++serial)
    Add(serial, std::to_string(serial), serial == 5 ? "hang" : "");
  ASSERT_TRUE(RunUntil(40, 100'000));
  EXPECT_EQ(answered_[5], CallOutcome::Kind::kLost);
  EXPECT_EQ(why_[5], "its handler took too long");
  EXPECT_EQ(std::count_if(answered_.begin(), answered_.end(),
                          [](const auto& a) { return a.second == CallOutcome::Kind::kDone; }),
            39);
}

TEST_F(HandlerPoolTest, NothingOfALieCounts) {
  Start({.processes = 1});
  for (uint64_t serial = 1; serial <= 20; ++serial)
    Add(serial, std::to_string(serial), serial == 5 ? "lie" : "");
  ASSERT_TRUE(RunUntil(20));
  EXPECT_EQ(answered_[5], CallOutcome::Kind::kLost);
  EXPECT_THAT(why_[5], testing::HasSubstr("its handler answered wrongly: outputs["));
  EXPECT_GT(pool_->counts().lies, 0U);
}

TEST_F(HandlerPoolTest, ASecondAnswerIsIgnored) {
  Start({.processes = 1});
  for (uint64_t serial = 1; serial <= 3; ++serial) Add(serial, std::to_string(serial), "twice");
  ASSERT_TRUE(RunUntil(3));
  EXPECT_GT(pool_->counts().ignored, 0U);
  EXPECT_EQ(pool_->counts().lies, 0U);
}

TEST_F(HandlerPoolTest, AFailedCallIsTheHandlersWord) {
  Start();
  Add(1, "a", "fail");
  Add(2, "b");
  ASSERT_TRUE(RunUntil(2));
  EXPECT_EQ(answered_[1], CallOutcome::Kind::kFailed);
  EXPECT_EQ(why_[1], "it fails");
  EXPECT_EQ(answered_[2], CallOutcome::Kind::kDone);
}

TEST_F(HandlerPoolTest, HandlersOfTheOtherKindAreRefused) {
  Start({.processes = 1, .mode = "stateless"});
  Add(1, "a");
  for (int i = 0; i < 200; ++i) Turn();
  EXPECT_THAT(answered_, IsEmpty());
  EXPECT_EQ(pool_->handlers(), 0U);
}

TEST_F(HandlerPoolTest, APoolThatSleptItselfBlamesNobody) {
  Start({.processes = 1});
  for (int i = 0; i < 10; ++i) Turn();
  ASSERT_EQ(pool_->handlers(), 1U);
  clock_.Advance(absl::Minutes(1));
  pool_->Work();
  EXPECT_EQ(pool_->handlers(), 1U);
}

// A process that is killed now and then while it has much: everything is answered once, and nothing is lost.
TEST_F(HandlerPoolTest, KilledAtRandomNothingIsBlamedButWhatIsAlone) {
  Start({.processes = 3});
  for (uint64_t serial = 1; serial <= 1000; ++serial) Add(serial, std::to_string(serial % 300));
  for (int i = 0; i < 20'000 && answered_.size() < 1000; ++i) {
    if (i % 41 == 40) handlers_->KillAll();
    Turn();
  }
  EXPECT_EQ(answered_.size(), 1000U);
  for (const auto& [serial, kind] : answered_) EXPECT_EQ(kind, CallOutcome::Kind::kDone) << serial;
}

}  // namespace
}  // namespace millrace
