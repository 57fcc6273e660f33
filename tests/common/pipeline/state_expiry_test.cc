#include "common/pipeline/state_expiry.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr TableId kTable = kFirstHelperTable;
constexpr absl::Duration kTtl = absl::Seconds(16);  // a spoke a second

class StateExpiryTest : public testing::Test {
 protected:
  void TouchAt(int64_t ms, std::string_view key) {
    state_.progress().log_time_ms = ms;
    EXPECT_TRUE(expiry_.Touch(state_, key).ok());
  }
  // "key@due" of what goes when log time gets there.
  std::vector<std::string> PassTo(int64_t ms) {
    std::vector<std::string> dropped;
    state_.progress().log_time_ms = ms;
    const absl::Status passed = expiry_.PassLogTime(state_, [&](std::string_view key, int64_t due_ms) {
      dropped.push_back(StrCat(key, "@", due_ms));
      return absl::OkStatus();
    });
    EXPECT_TRUE(passed.ok()) << passed;
    return dropped;
  }

  bool IsEmptyState() {
    state_.progress() = {};
    return state_.Dump() == MemoryState().Dump();
  }

  MemoryState state_;
  StateExpiry expiry_{kTtl, kTable};
};

TEST_F(StateExpiryTest, DropsAKeyOnceItIsDue) {
  TouchAt(1000, "a");
  EXPECT_EQ(expiry_.NextDueMs(state_), 17'000);
  EXPECT_THAT(PassTo(16'999), IsEmpty());
  EXPECT_THAT(PassTo(17'000), ElementsAre("a@17000"));
  EXPECT_EQ(expiry_.NextDueMs(state_), kEndOfTime);
  EXPECT_THAT(PassTo(100'000), IsEmpty());
}

TEST_F(StateExpiryTest, IsAtMostASpokeLate) {
  TouchAt(1001, "a");
  EXPECT_THAT(PassTo(17'001), IsEmpty());
  EXPECT_THAT(PassTo(18'000), ElementsAre("a@18000"));
}

TEST_F(StateExpiryTest, KeepsAKeyThatWasTouchedSince) {
  TouchAt(1000, "a");
  TouchAt(9000, "a");
  EXPECT_THAT(PassTo(17'000), IsEmpty());
  EXPECT_EQ(expiry_.NextDueMs(state_), 25'000);
  EXPECT_THAT(PassTo(25'000), ElementsAre("a@25000"));
}

TEST_F(StateExpiryTest, DropsInOrderOfTimeThenKey) {
  TouchAt(2000, "b");
  TouchAt(2000, "a");
  TouchAt(1000, "c");
  EXPECT_THAT(PassTo(60'000), ElementsAre("c@17000", "a@18000", "b@18000"));
}

TEST_F(StateExpiryTest, AKeyThatWasForgottenAndCameBackGoesByItsLaterTime) {
  TouchAt(1000, "a");
  ASSERT_TRUE(expiry_.Forget(state_, "a").ok());
  TouchAt(5000, "a");
  EXPECT_THAT(PassTo(17'000), IsEmpty());
  EXPECT_THAT(PassTo(21'000), ElementsAre("a@21000"));
  EXPECT_TRUE(IsEmptyState()) << state_.Dump();
}

TEST_F(StateExpiryTest, WhatOnePassDoesNotReachGoesWithTheNext) {
  const size_t keys = StateExpiry::kMostKeysAPass + 3;
  for (size_t i = 0; i < keys; ++i) TouchAt(1000, StrCat("key-", i));
  EXPECT_EQ(PassTo(17'000).size(), StateExpiry::kMostKeysAPass);
  EXPECT_EQ(expiry_.NextDueMs(state_), 17'000);
  EXPECT_EQ(PassTo(17'001).size(), 3u);
}

TEST_F(StateExpiryTest, WithoutATtlKeepsNothing) {
  expiry_ = StateExpiry(absl::InfiniteDuration(), kTable);
  TouchAt(1000, "a");
  EXPECT_EQ(expiry_.NextDueMs(state_), kEndOfTime);
  EXPECT_TRUE(IsEmptyState()) << state_.Dump();
}

std::vector<Input> One(const std::string& key, const std::string& json = "{\"v\":1}") {
  return {{key, json}};
}

TEST(TtlTest, AnAggregateStartsAnewAndTakesItsMembersAlong) {
  PipelineRig rig("stages:\n  - aggregate: { n: count(), kinds: distinct(v) }\nttl: 16s\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  rig.broker_time_ms = 10'000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  rig.broker_time_ms = 20'000;
  ASSERT_TRUE(rig.Feed(One("b")).ok());
  rig.broker_time_ms = 26'000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":1,"kinds":1})", R"(a {"n":2,"kinds":1})",
                                            R"(b {"n":1,"kinds":1})", R"(a {"n":1,"kinds":1})"));
  rig.broker_time_ms = 100'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_EQ(rig.pipeline().StateJson(rig.state(), "a").status().code(), absl::StatusCode::kNotFound);
}

TEST(TtlTest, WhatWaitedToBeEmittedIsEmittedWhenItsKeyGoes) {
  PipelineRig rig("stages:\n  - aggregate: { n: count() }\n    emit: final\nttl: 16s\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  rig.broker_time_ms = 17'000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":1})"));
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":1})", R"(a {"n":1})"));
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(TtlTest, AKeyThatIsDroppedBeforeItsEveryIsDueIsEmittedFirst) {
  PipelineRig rig("stages:\n  - aggregate: { n: count() }\n    emit: every 1h\nttl: 16s\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  rig.broker_time_ms = 17'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":1})"));
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
}

TEST(TtlTest, LuaStateGoesAndItsTimersStay) {
  PipelineRig rig(
      "stages:\n  - keyed:\n      lua: |\n        state.n = (state.n or 0) + 1\n        emit(state.n)\n"
      "        if state.n == 1 then timer(30000) end\n"
      "        function on_timer() emit({ left = state.n == nil }) state = nil end\nttl: 16s\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed(One("a")).ok());
  rig.broker_time_ms = 17'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_EQ(rig.pipeline().StateJson(rig.state(), "a").status().code(), absl::StatusCode::kNotFound);
  rig.broker_time_ms = 31'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 1", R"(a {"left":true})"));
}

TEST(TtlTest, ARecordThatFailsTouchesNothing) {
  PipelineRig rig(
      "stages:\n  - keyed:\n      lua: |\n        state.n = 1\n        if r.bad then error('bad') end\n"
      "ttl: 16s\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed(One("a", "{\"bad\":true}")).ok());
  EXPECT_EQ(rig.sink.letters.size(), 1u);
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
}

}  // namespace
}  // namespace millrace
