// `partition` and `broadcast`: which way records go, and that they stay whole wherever they fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Input Value(const std::string& key, int value) { return {key, StrCat(R"({"v":)", value, "}")}; }

std::vector<Input> OneToFive() {
  std::vector<Input> records;
  for (int v = 1; v <= 5; ++v) records.push_back(Value("a", v));
  return records;
}

TEST(PartitionBranches, EachRecordTakesTheFirstBranchThatWantsItAndAllMeetBehind) {
  PipelineRig rig(R"y(stages:
  - partition:
      - when: r.v <= 2
        stages: [ { map: { v: r.v, way: '"low"' } } ]
      - when: r.v <= 4
        stages:
          - filter: r.v ~= 4
          - map: { v: r.v, way: '"middle"' }
      - stages: [ { map: { v: r.v, way: '"rest"' } } ]
  - map: 'r.v .. r.way'
)y");
  ASSERT_TRUE(rig.Feed(OneToFive()).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a \"1low\"", "a \"2low\"", "a \"3middle\"", "a \"5rest\""));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1", "1.2", "1.3"));
}

TEST(PartitionBranches, ARecordThatNoBranchWantsGoesOnAsItIs) {
  PipelineRig rig("stages:\n  - partition: [ { when: r.v > 4, stages: [ { map: 'r.v * 10' } ] } ]\n");
  ASSERT_TRUE(rig.Feed({Value("a", 4), Value("a", 5)}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"v\":4}", "a 50"));
}

TEST(PartitionBranches, ABranchWithoutStagesHandsOnWhatItTakes) {
  PipelineRig rig(
      "stages:\n  - partition: [ { when: r.v > 4, stages: [] }, { stages: [ { filter: 'false' } ] } ]\n");
  ASSERT_TRUE(rig.Feed(OneToFive()).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"v\":5}"));
}

TEST(PartitionBranches, EachKeepsStateOfItsOwn) {
  PipelineRig rig(R"y(stages:
  - partition:
      - when: r.v % 2 == 0
        stages: [ { aggregate: { evens: count(), s: sum(v) } } ]
      - stages: [ { aggregate: { odds: count(), s: sum(v) } } ]
)y");
  ASSERT_TRUE(rig.Feed(OneToFive()).ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"odds":1,"s":1})", R"(a {"evens":1,"s":2})", R"(a {"odds":2,"s":4})",
                          R"(a {"evens":2,"s":6})", R"(a {"odds":3,"s":9})"));
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"odds":3,"s":9})");
}

TEST(PartitionBranches, AConditionThatFailsIsTheRecordsError) {
  PipelineRig rig(R"y(stages:
  - aggregate: { n: count() }
  - name: route
    partition:
      - when: r.n < 2
        stages: []
      - when: r.none > 1
        stages: []
    on_error: retry
    retry: { attempts: 2 }
)y");
  const absl::StatusOr<StepResult> result = rig.Feed({Value("a", 1), Value("a", 2)});
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->done);
  EXPECT_TRUE(rig.Again(result->resume_record)->done);
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("1 route: route, line 10:")));
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":1})");
}

constexpr char kTwoWays[] = R"y(stages:
  - broadcast:
      - stages: [ { name: first, aggregate: { n: count() } } ]
      - stages:
          - { name: picky, filter: 'r.v < 3 or error("too much")' }
          - { name: second, aggregate: { s: sum(v) } }
  - { name: all, keyed: { lua: 'state.n = (state.n or 0) + 1 emit({ n = state.n, r = r })' } }
)y";

TEST(Broadcast, EachBranchTakesEveryRecordInTheirOrder) {
  PipelineRig rig(kTwoWays);
  ASSERT_TRUE(rig.Feed({Value("a", 1), Value("a", 2)}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":1,"r":{"n":1}})", R"(a {"n":2,"r":{"s":1}})",
                                            R"(a {"n":3,"r":{"n":2}})", R"(a {"n":4,"r":{"s":3}})"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1", "1.2", "1.3"));
}

TEST(Broadcast, AFailureInOneBranchTakesBackWhatTheOthersDid) {
  PipelineRig rig(kTwoWays);
  ASSERT_TRUE(rig.Feed({Value("a", 1)}).ok());
  PipelineRig other(kTwoWays);
  ASSERT_TRUE(other.Feed({Value("a", 1), Value("a", 3), Value("a", 2)}).ok());
  EXPECT_THAT(other.sink.letters, ElementsAre(HasSubstr("1 picky: picky, line 8: too much")));
  ASSERT_TRUE(rig.Feed({Value("a", 2)}).ok());
  EXPECT_EQ(other.sink.outputs, rig.sink.outputs);
}

TEST(Broadcast, WithoutAnyCodeAFailureStillTakesBackAll) {
  PipelineRig rig(R"y(stages:
  - broadcast:
      - stages: [ { aggregate: { n: count() } } ]
      - stages: [ { aggregate: { s: sum(v) } } ]
)y");
  ASSERT_TRUE(rig.Feed({{"a", R"({"v":"text"})"}, Value("a", 2)}).ok());
  EXPECT_EQ(rig.sink.letters.size(), 1u);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}", "a {\"s\":2}"));
}

TEST(Broadcast, AnOutputThatIsTooLargeIsChargedToTheLastStageOfItsBranch) {
  PipelineRig rig(R"y(stages:
  - broadcast:
      - stages: [ { name: limit, rate_limit: { rate: 1/h, excess: drop } } ]
      - stages:
          - { name: grow, map: '("x"):rep(r.v)', on_error: skip }
)y");
  ASSERT_TRUE(rig.Feed({Value("a", 2'000'000), Value("a", 2)}).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());  // on_error of `grow`
  EXPECT_EQ(rig.progress().skipped, 1u);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"v\":2}", "a \"xx\""));  // the token was given back
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1"));
}

TEST(Branches, OneInTheOther) {
  PipelineRig rig(R"y(stages:
  - partition:
      - when: r.v < 4
        stages:
          - broadcast:
              - stages: []
              - stages: [ { partition: [ { when: r.v == 2, stages: [ { map: { v: '"two"' } } ] } ] } ]
      - stages: [ { filter: 'false' } ]
  - map: r.v
)y");
  ASSERT_TRUE(rig.Feed({Value("a", 1), Value("a", 2), Value("a", 4)}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 1", "a 1", "a 2", "a \"two\""));
}

TEST(Branches, WhatIsFinalInABranchIsFinishedBeforeWhatIsBehind) {
  PipelineRig rig(R"y(stages:
  - broadcast:
      - stages: [ { name: last, aggregate: { last: last(v) }, emit: final } ]
      - stages: [ { filter: r.v > 1 }, { aggregate: { n: count() }, emit: final } ]
  - { name: all, aggregate: { outputs: count(), last: last(last), n: last(n) }, emit: final }
)y");
  ASSERT_TRUE(rig.Feed({Value("a", 1), Value("a", 2), Value("b", 1)}).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"outputs":2,"last":2,"n":1})", R"(b {"outputs":1,"last":1,"n":null})"));
}

TEST(Branches, TimersOfABranchFireAndHandOnToWhatIsBehind) {
  PipelineRig rig(R"y(stages:
  - partition:
      - when: r.v == 1
        stages:
          - name: later
            keyed:
              lua: |
                timer('2s')
                function on_timer() emit({ v = 'late' }) end
  - map: r.v
)y");
  ASSERT_TRUE(rig.Feed({Value("a", 1), Value("a", 2)}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 2"));
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), 3000);
  rig.broker_time_ms = 3000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 2", "a \"late\""));
}

TEST(Branches, InspectCountsInBranches) {
  PipelineRig rig(R"y(stages:
  - partition:
      - when: r.v > 3
        stages: [ { name: high, inspect: 'true' } ]
      - stages: [ { name: odd, inspect: r.v % 2 == 1 } ]
)y");
  ASSERT_TRUE(rig.Feed(OneToFive()).ok());
  EXPECT_THAT(rig.pipeline().InspectCounts(), ElementsAre(Pair("high", 2u), Pair("odd", 2u)));
}

TEST(Branches, AnOverrunInABranchIsChargedToItsStage) {
  VerdictAttempts attempts;
  CountVerdict({Offset(1), 0, "overran", "slow"}, &attempts);
  PipelineRig rig(
      "stages:\n  - partition: [ { when: 'true', stages: [ { name: slow, map: r.v, on_error: skip } ] } ]\n");
  rig.attempts = &attempts;
  ASSERT_TRUE(rig.Feed({Value("a", 1), Value("a", 2)}).ok());
  EXPECT_EQ(rig.progress().skipped, 1u);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 2"));
}

TEST(Branches, AConditionThatDoesNotCompileIsToldWithItsPlace) {
  const JobSpec spec = PipelineRig::Parse(R"y(stages:
  - partition:
      - when: r.v >
        stages: []
)y");
  const absl::Status status = Pipeline::Create(spec, {}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("job.yaml:5:5: partition-0, line 6:"));
}

// All that branches keep lies in the state, under a new pipeline too.
TEST(Branches, GoOnAfterARestart) {
  constexpr char kJob[] = R"y(stages:
  - partition:
      - when: r.v % 3 == 0
        stages: [ { dedupe: { by: r.v % 6 } }, { aggregate: { n: count() } } ]
      - stages: [ { broadcast: [ { stages: [ { aggregate: { s: sum(v) } } ] }, { stages: [] } ] } ]
  - keyed: { lua: 'state.n = (state.n or 0) + 1 emit(state.n)' }
)y";
  PipelineRig whole(kJob), cut(kJob);
  for (int v = 1; v <= 20; ++v) {
    ASSERT_TRUE(whole.Feed({Value(StrCat("k", v % 2), v)}).ok());
    cut.Restart();
    ASSERT_TRUE(cut.Feed({Value(StrCat("k", v % 2), v)}).ok());
  }
  EXPECT_EQ(cut.sink.outputs, whole.sink.outputs);
  EXPECT_EQ(cut.state().Dump(), whole.state().Dump());
}

}  // namespace
}  // namespace millrace
