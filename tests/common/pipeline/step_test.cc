#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/pipeline/error_policy.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Step, FilterMapAndFlatMapInARow) {
  PipelineRig rig(R"y(stages:
  - filter: r.v ~= nil
  - map: { double: r.v * 2, who: key, none: r.nothing }
  - flat_map: '{ r.double, { who = r.who } }'
)y");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":2})"}, {"b", "{}"}, {"c", R"({"v":0.25})"}}).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 4", "a {\"who\":\"a\"}", "c 0.5", "c {\"who\":\"c\"}"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1", "1.2", "1.3"));
}

TEST(Step, MapKeepsTheFilesOrderAndGivesNullForNil) {
  PipelineRig rig("stages:\n  - map: { z: r.a, a: r.z, label: label }\n");
  ASSERT_TRUE(rig.Feed({{"k", R"({"a":1})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(k {"z":1,"a":null,"label":"0.0.1.0"})"));
}

TEST(Step, FlatMapOfNilIsNoneAndOfAnObjectIsAnError) {
  PipelineRig rig("stages:\n  - flat_map: r.list\n");
  ASSERT_TRUE(rig.Feed({{"k", "{}"}, {"k", R"({"list":[]})"}, {"k", R"({"list":{"x":1}})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("a list (or nil) is needed")));
}

TEST(Step, InspectCountsAndChangesNothing) {
  PipelineRig rig("stages:\n  - inspect: r.v > 1\n    name: big\n");
  ASSERT_TRUE(rig.Feed({{"k", R"({"v":1})"}, {"k", R"({"v":2})"}}).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 2u);
  EXPECT_THAT(rig.pipeline().InspectCounts(), ElementsAre(::testing::Pair("big", 1u)));
}

TEST(Step, AFailureBehindTheAggregateTakesItsEffectBack) {
  PipelineRig rig(R"y(stages:
  - aggregate: { n: count(), d: distinct(v) }
  - map: 'r.n == 2 and error("two") or r.n'
)y");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":1})"}}).ok());
  const std::string before = rig.state().Dump();
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":2})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 1"));
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("two")));
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":1,"d":1})") << before;
}

TEST(Step, ALaterItemThatFailsTakesBackTheWholeRecord) {
  PipelineRig rig("stages:\n  - flat_map: r.items\n  - aggregate: { s: sum(v) }\n");
  ASSERT_TRUE(
      rig.Feed({{"a", R"({"items":[{"v":1},{"v":"x"}]})"}, {"a", R"({"items":[{"v":5},{"v":6}]})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"s\":5}", "a {\"s\":11}"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1"));
  EXPECT_EQ(rig.sink.letters.size(), 1u);
}

TEST(Step, AnOutputThatIsTooLargeFailsItsRecordAndLeavesNothingOfIt) {
  PipelineRig rig(R"y(stages:
  - keyed:
      lua: |
        state.n = (state.n or 0) + 1
        emit("first")
        if r.n then emit(("x"):rep(r.n)) end
)y");
  ASSERT_TRUE(rig.Feed({{"a", R"({"n":2000000})"}, {"a", R"({"n":1000000})"}, {"a", "{}"}}).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("over the limit of")));
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("keyed")));
  ASSERT_EQ(rig.sink.outputs.size(), 3u);
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1", "1.2"));
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":2})");
}

TEST(Step, OnErrorDecidesOnAnOutputThatIsTooLarge) {
  constexpr char kGrow[] = R"y(stages:
  - map: '("x"):rep(r.n)'
    on_error: fail
)y";
  PipelineRig rig(kGrow);
  ASSERT_TRUE(rig.Feed({{"a", R"({"n":1000000})"}}).ok());
  EXPECT_TRUE(absl::IsAborted(rig.Feed({{"a", R"({"n":2000000})"}}).status()));
}

TEST(Step, ALaterItemThatIsTooLargeTakesBackTheWholeRecord) {
  PipelineRig rig("stages:\n  - flat_map: '{ 1, (\"x\"):rep(r.n) }'\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"n":2000000})"}, {"a", R"({"n":1})"}}).ok());
  EXPECT_EQ(rig.sink.letters.size(), 1u);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 1", R"(a "x")"));
}

TEST(Step, AnAggregateKeepsNothingThatItCouldNotPutOut) {
  const std::string half(600'000, 'x');
  PipelineRig rig("stages:\n  - aggregate: { n: count(), a: last(a), b: last(b) }\n    emit: final\n");
  ASSERT_TRUE(rig.Feed({{"k", R"({"a":")" + half + R"("})"}}).ok());
  ASSERT_TRUE(rig.Feed({{"k", R"({"b":")" + half + R"("})"}}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("over the limit of")));
  ASSERT_EQ(rig.sink.outputs.size(), 1u);
  EXPECT_THAT(rig.sink.outputs[0], HasSubstr(R"("n":1)"));
}

TEST(Step, SkipCountsAndFailStopsTheJob) {
  PipelineRig skip("on_error: skip\nstages:\n  - filter: error('bad')\n");
  ASSERT_TRUE(skip.Feed({{"a", "{}"}}).ok());
  EXPECT_EQ(skip.progress().skipped, 1u);
  EXPECT_EQ(skip.progress().records_in, 1u);
  EXPECT_THAT(skip.sink.letters, IsEmpty());
  PipelineRig fail("on_error: fail\nstages:\n  - filter: error('bad')\n");
  EXPECT_TRUE(absl::IsAborted(fail.Feed({{"a", "{}"}}).status()));
}

constexpr char kRetrying[] = R"y(on_error: retry
retry: { attempts: 3, backoff: 100ms..10s }
stages:
  - filter: r.v > 0
  - aggregate: { n: count() }
)y";

TEST(Step, ARetryStopsAtTheRecordAndGoesOnFromIt) {
  PipelineRig rig(kRetrying);
  absl::StatusOr<StepResult> result = rig.Feed({{"a", R"({"v":1})"}, {"b", "{}"}, {"c", R"({"v":1})"}});
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->done);
  EXPECT_EQ(result->resume_record, 1u);
  EXPECT_EQ(result->retry_after, absl::Milliseconds(100));
  result = rig.Again(1);
  EXPECT_EQ(result->retry_after, absl::Milliseconds(200));
  result = rig.Again(1);
  EXPECT_TRUE(result->done);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}", "c {\"n\":1}"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1"));
  EXPECT_THAT(rig.sink.letter_attempts, ElementsAre(3));
  EXPECT_EQ(rig.progress().records_in, 3u);
  EXPECT_EQ(rig.progress().retries, 2u);
}

TEST(Step, AttemptsFromVerdictsCount) {
  const VerdictAttempts attempts = {{{1, 0}, {.overruns = 2, .stage = "filter"}}, {{1, 1}, {.overruns = 3}}};
  PipelineRig rig(kRetrying);
  rig.attempts = &attempts;
  const absl::StatusOr<StepResult> result = rig.Feed({{"a", "{}"}, {"b", R"({"v":1})"}});
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->done);
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  EXPECT_THAT(rig.sink.letter_attempts, ElementsAre(3, 3));
  EXPECT_THAT(rig.sink.letters[1], HasSubstr("3 times"));
}

TEST(Step, AnOverrunIsChargedToTheStageThatItsVerdictNames) {
  VerdictAttempts attempts;
  CountVerdict({Offset(1), 0, "overran", "slow"}, &attempts);
  CountVerdict({Offset(1), 1, "overran", ""}, &attempts);  // as an earlier version wrote it
  CountVerdict({Offset(1), 2, "overran", "lenient"}, &attempts);
  PipelineRig rig(R"y(stages:
  - filter: r.v > 0
    name: slow
  - filter: r.v > 1
    name: lenient
    on_error: skip
)y");
  rig.attempts = &attempts;
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":2})"}, {"b", R"({"v":2})"}, {"c", R"({"v":2})"}}).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre("0 slow: overran its time or ended its process 1 times",
                                            "1 : overran its time or ended its process 1 times"));
  EXPECT_EQ(rig.progress().skipped, 1u);
}

TEST(ErrorPolicy, BackoffDoublesUpToItsMaximum) {
  const BackoffSpec backoff{absl::Milliseconds(100), absl::Milliseconds(350)};
  EXPECT_EQ(BackoffAfter(backoff, 1), absl::Milliseconds(100));
  EXPECT_EQ(BackoffAfter(backoff, 2), absl::Milliseconds(200));
  EXPECT_EQ(BackoffAfter(backoff, 3), absl::Milliseconds(350));
  EXPECT_EQ(BackoffAfter(backoff, 1000), absl::Milliseconds(350));
}

TEST(Step, AStrangersMessageIsOneRecord) {
  PipelineRig rig("stages:\n  - aggregate: { s: sum(v) }\n");
  ASSERT_TRUE(rig.FeedStranger(R"({"k":"a","v":3})", 0, 1).ok());
  ASSERT_TRUE(rig.FeedStranger("no json", 0, 1).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"s\":3}"));
  EXPECT_THAT(rig.sink.letter_values, ElementsAre("no json"));
  EXPECT_EQ(rig.progress().records_in, 2u);
}

TEST(Step, AStrangerOfAnotherPartitionIsRefused) {
  PipelineRig rig("stages:\n  - aggregate: { n: count() }\n");
  int taken = 0;
  for (uint32_t partition = 0; partition < 4; ++partition) {
    ASSERT_TRUE(rig.FeedStranger(R"({"k":"a"})", partition, 4).ok());
    taken = static_cast<int>(rig.sink.outputs.size());
  }
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(rig.sink.letters.size(), 3u);
}

TEST(Step, OutputsKeepEventTimeHeadersAndGetTheBrokersTimeWithoutOne) {
  PipelineRig rig("stages:\n  - filter: headers.h == 'x' or key == 'b'\n");
  ASSERT_TRUE(rig.Feed({{"a", "{}", 77, {{"h", "x"}}}, {"b", "{}"}}).ok());
  EXPECT_THAT(rig.sink.times, ElementsAre(77, 1000));
  EXPECT_THAT(rig.sink.header_texts, ElementsAre("h=x;", ""));
}

TEST(Keyed, StateIsKeptAndNilDropsTheKey) {
  PipelineRig rig(R"y(stages:
  - keyed: { lua: "state.n = (state.n or 0) + r.v; state[7] = {1}; emit({ n = state.n }); if r.v == 0 then state = nil end" }
)y");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":2})"}, {"a", R"({"v":3})"}}).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"7":[1],"n":5})");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":0})"}, {"a", R"({"v":1})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":2}", "a {\"n\":5}", "a {\"n\":5}", "a {\"n\":1}"));
}

TEST(Keyed, EmitOverridesKeyAndHeaders) {
  PipelineRig rig(R"y(stages:
  - keyed: { lua: "emit(1, { key = 'other', headers = { h = 'new', a = 5 } }); emit(2)" }
)y");
  ASSERT_TRUE(rig.Feed({{"a", "{}", 5, {{"h", "old"}, {"g", "kept"}}}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("other 1", "a 2"));
  EXPECT_THAT(rig.sink.header_texts, ElementsAre("h=new;g=kept;a=5;", "h=old;g=kept;"));
}

TEST(Keyed, AFailureAfterEmitHasNoEffect) {
  PipelineRig rig("stages:\n  - keyed: { lua: \"state.n = 1; emit(1); error('late')\" }\n");
  ASSERT_TRUE(rig.Feed({{"a", "{}"}}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  EXPECT_EQ(rig.sink.letters.size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(rig.pipeline().StateJson(rig.state(), "a").status()));
}

constexpr char kTimers[] = R"y(stages:
  - keyed:
      lua: |
        local GAP = 500
        state.n = (state.n or 0) + 1
        if r.at then timer_at(r.at) else timer('1500ms') end
        function on_timer()
          emit({ due = time, n = state.n, gap = GAP, r = r })
          state = nil
        end
)y";

TEST(Keyed, LogTimersFireBeforeTheFrameThatPassesThemInDueThenKeyOrder) {
  PipelineRig rig(kTimers);
  ASSERT_TRUE(rig.Feed({{"b", "{}"}, {"a", "{}"}}).ok());
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), 2500);
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  rig.Restart();
  ASSERT_TRUE(rig.Feed({{"a", "{}"}}).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"due":2500,"gap":500,"n":1})", R"(b {"due":2500,"gap":500,"n":1})"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("3.0", "3.1"));
  EXPECT_THAT(rig.sink.times, ElementsAre(2500, 2500));
}

TEST(Keyed, EventTimersFireBehindTheFrameWhoseWatermarkPassesThem) {
  PipelineRig rig(kTimers);
  ASSERT_TRUE(rig.Feed({{"a", R"({"at":50})"}}, 40).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.Feed({{"a", R"({"at":60})"}}, 50).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"due":50,"gap":500,"n":2})"));
}

TEST(Keyed, EveryPendingTimerFiresAtTheEndThenFinal) {
  PipelineRig rig(StrCat(kTimers, "  - aggregate: { n: count() }\n    emit: final\n"));
  ASSERT_TRUE(rig.Feed({{"a", R"({"at":90})"}, {"b", "{}"}}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}", "b {\"n\":1}"));
}

TEST(Keyed, ATimerThatSetsItselfForEverEndsAsADeadLetter) {
  PipelineRig rig("stages:\n  - keyed: { lua: \"timer(10) function on_timer() timer(10) end\" }\n");
  ASSERT_TRUE(rig.Feed({{"a", "{}"}}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("100 rounds")));
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
}

TEST(Keyed, ATimerThatFailsIsGoneAndItsEffectTakenBack) {
  PipelineRig rig(R"y(stages:
  - keyed: { lua: "state.n = 1; timer(10); function on_timer() state.n = 2; emit(1); error('no') end" }
)y");
  ASSERT_TRUE(rig.Feed({{"a", "{}"}}).ok());
  ASSERT_TRUE(rig.Feed({{"b", "{}"}}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("no")));
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":1})");
}

// The same log with restarts anywhere gives the same outputs, labels and state.
TEST(Step, RestartsAnywhereChangeNothing) {
  const std::string stages = R"y(stages:
  - filter: r.v % 7 ~= 0
  - keyed:
      lua: |
        if not seen then seen = 0 end
        seen = seen + 1
        state.sum = (state.sum or 0) + r.v + seen
        if r.v % 3 == 0 then timer(1000 + r.v) end
        if r.v % 5 == 0 then timer_at(r.v * 10) end
        emit({ sum = state.sum })
        function on_timer() state.fired = (state.fired or 0) + 1; emit({ sum = -state.fired }) end
  - aggregate: { n: count(), s: sum(sum), d: distinct(sum), last: last(sum) }
    emit: every 3s
)y";
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(StrCat("seed ", seed));
  std::mt19937 random(seed);
  std::vector<std::vector<Input>> log(60);
  for (std::vector<Input>& frame : log) {
    for (uint32_t i = random() % 8; i > 0; --i) {
      frame.push_back(
          {std::string(1, static_cast<char>('a' + random() % 5)), StrCat("{\"v\":", random() % 100, "}")});
    }
  }
  PipelineRig straight(stages);
  PipelineRig restarted(stages);
  for (size_t i = 0; i < log.size(); ++i) {
    const int64_t watermark_ms = static_cast<int64_t>(i) * 20;
    ASSERT_TRUE(straight.Feed(log[i], watermark_ms).ok());
    if (random() % 4 == 0) restarted.Restart();
    ASSERT_TRUE(restarted.Feed(log[i], watermark_ms).ok());
  }
  ASSERT_TRUE(straight.End().ok());
  ASSERT_TRUE(restarted.End().ok());
  EXPECT_THAT(straight.sink.letters, IsEmpty());
  EXPECT_FALSE(straight.sink.outputs.empty());
  EXPECT_EQ(straight.sink.outputs, restarted.sink.outputs);
  EXPECT_EQ(straight.sink.labels, restarted.sink.labels);
  EXPECT_EQ(straight.state().Dump(), restarted.state().Dump());
}

class CountingObserver : public CallObserver {
 public:
  void Enter(Offset, uint32_t, absl::Duration timeout, const std::string&) override {
    ++entered;
    last_timeout = timeout;
  }
  void Leave() override { ++left; }
  int entered = 0;
  int left = 0;
  absl::Duration last_timeout;
};

TEST(Step, TheObserverSeesEveryCallOfUserCode) {
  CountingObserver observer;
  PipelineRig rig("stages:\n  - filter: r.v > 0\n    timeout: 3s\n", {.observer = &observer});
  ASSERT_TRUE(rig.Feed({{"a", "{}"}, {"a", R"({"v":1})"}}).ok());
  EXPECT_EQ(observer.entered, 2);
  EXPECT_EQ(observer.left, 2);
  EXPECT_EQ(observer.last_timeout, absl::Seconds(3));
}

TEST(PipelineCreate, AnExpressionThatDoesNotCompileNamesItsLine) {
  for (const char* const code : {"r.", "1), (2", "return 1", "x = 1"}) {
    JobSpec spec = PipelineRig::Parse("stages:\n  - filter: 'true'\n");
    spec.stages[0].what = FilterStage{code};
    const absl::Status status = Pipeline::Create(spec, {}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << code;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line 5")) << code;
  }
}

}  // namespace
}  // namespace millrace
