// `rate_limit`: what is shed by log time, and how records wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "common/pipeline/rate_pacer.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Gives out so many tokens, and says how long to wait when there is none.
class FakePacer : public RatePacer {
 public:
  absl::Duration Take(const std::string& stage, std::string_view key, const TokenRule&) override {
    asked.push_back(StrCat(stage, " ", key));
    if (tokens == 0) return absl::Milliseconds(250);
    --tokens;
    return absl::ZeroDuration();
  }
  int tokens = 0;
  std::vector<std::string> asked;
};

const std::vector<Input> kThree = {{"a", R"({"v":1})"}, {"a", R"({"v":2})"}, {"a", R"({"v":3})"}};

TEST(RateLimit, DropsAndCountsWhatIsOverTheKeysRate) {
  PipelineRig rig("stages:\n  - rate_limit: { rate: 1/s, burst: 2, excess: drop }\n  - map: r.v\n");
  ASSERT_TRUE(
      rig.Feed({{"a", R"({"v":1})"}, {"a", R"({"v":2})"}, {"a", R"({"v":3})"}, {"b", R"({"v":4})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 1", "a 2", "b 4"));
  EXPECT_EQ(rig.progress().skipped, 1u);
  EXPECT_EQ(rig.progress().records_in, 4u);
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"tokens":0,"at_ms":1000})");
  ASSERT_TRUE(rig.Feed(kThree).ok());  // a second later
  EXPECT_EQ(rig.sink.outputs.size(), 4u);
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(RateLimit, OfTheStageIsSharedByItsPartitions) {
  for (const uint32_t partitions : {1, 4}) {
    PipelineRig rig(StrCat("partitions: ", partitions,
                           "\nstages:\n  - rate_limit: { rate: 8/s, per: stage, excess: drop }\n"));
    std::vector<Input> records;
    for (int i = 0; i < 20; ++i) records.push_back({StrCat("key", i), "{}"});
    ASSERT_TRUE(rig.Feed(records).ok());
    EXPECT_EQ(rig.sink.outputs.size(), 8u / partitions);
    ASSERT_TRUE(rig.Feed(records).ok());
    EXPECT_EQ(rig.sink.outputs.size(), 16u / partitions);
  }
}

TEST(RateLimit, DeadLettersSayTheRateWhateverTheJobsPolicyIs) {
  PipelineRig rig(R"y(on_error: skip
stages:
  - aggregate: { n: count() }
  - rate_limit: { rate: 60/m, burst: 1, excess: dead_letter }
    name: calm
)y");
  ASSERT_TRUE(rig.Feed(kThree).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}"));
  EXPECT_THAT(rig.sink.letters,
              ElementsAre("1 calm: over the rate of 60/m for its key", HasSubstr("2 calm:")));
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":1})");  // what is refused has had no effect
}

TEST(RateLimit, ARecordThatFailsBehindItTakesNoToken) {
  PipelineRig rig(
      "stages:\n  - rate_limit: { rate: 1/h, excess: drop }\n  - map: 'r.v > 2 and r.v or error(\"low\")'\n");
  ASSERT_TRUE(rig.Feed(kThree).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 3"));
  EXPECT_EQ(rig.sink.letters.size(), 2u);
}

TEST(RateLimit, ABucketLeavesTheStateWhenItWouldBeFull) {
  PipelineRig rig("stages:\n  - rate_limit: { rate: 1/m, burst: 3, excess: drop }\n");
  ASSERT_TRUE(rig.Feed({{"a", "{}"}, {"a", "{}"}, {"a", "{}"}}).ok());
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
  rig.broker_time_ms = 1000 + 2 * 60'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_TRUE(rig.pipeline().StateJson(rig.state(), "a").ok());
  rig.broker_time_ms = 1000 + 4 * 60'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  EXPECT_TRUE(absl::IsNotFound(rig.pipeline().StateJson(rig.state(), "a").status()));
  rig.broker_time_ms = 1000 + 60 * 60'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  rig.state().progress() = {};
  EXPECT_EQ(rig.state().Dump(), MemoryState().Dump());
}

TEST(RateLimit, ABucketStaysUnderASlowerRateUntilItIsFullByThat) {
  constexpr char kJob[] = "stages:\n  - rate_limit: { rate: $, burst: 2, excess: drop }\n";
  const auto job = [&](const char* rate) { return absl::StrReplaceAll(kJob, {{"$", rate}}); };
  PipelineRig rig(job("1/s"));
  ASSERT_TRUE(rig.Feed(kThree).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 2u);
  rig.Update(PipelineRig::Parse(job("1/h")));
  rig.broker_time_ms = 1000 + 10 * 60'000;  // ten minutes later: beyond what the old rate asked for
  ASSERT_TRUE(rig.Feed(kThree).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 2u);
  rig.broker_time_ms = 1000 + 61 * 60'000;
  ASSERT_TRUE(rig.Feed(kThree).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 3u);
}

class WaitTest : public ::testing::Test {
 protected:
  PipelineOptions Options() {
    PipelineOptions options;
    options.pacer = &pacer_;
    return options;
  }
  FakePacer pacer_;
};

TEST_F(WaitTest, StopsInFrontOfTheRecordAndLeavesNoTraceOfIt) {
  PipelineRig rig(
      "stages:\n  - inspect: 'true'\n  - aggregate: { n: count() }\n  - rate_limit: { rate: 1/s }\n",
      Options());
  pacer_.tokens = 1;
  absl::StatusOr<StepResult> result = rig.Feed(kThree);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->done);
  EXPECT_EQ(result->resume_record, 1u);
  EXPECT_EQ(result->retry_after, absl::Milliseconds(250));
  const std::string stopped = rig.state().Dump();
  EXPECT_EQ(rig.Again(1)->resume_record, 1u);
  EXPECT_EQ(rig.state().Dump(), stopped);
  pacer_.tokens = 5;
  EXPECT_TRUE(rig.Again(1)->done);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}", "a {\"n\":2}", "a {\"n\":3}"));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1", "1.2"));
  EXPECT_EQ(pacer_.tokens, 3);
  EXPECT_EQ(rig.progress().records_in, 3u);
  EXPECT_EQ(rig.progress().retries, 0u);
  EXPECT_THAT(rig.pipeline().InspectCounts(), ElementsAre(::testing::Pair("inspect-0", 3u)));
}

TEST_F(WaitTest, StateAndOutputsAreThoseOfAStepThatNeverWaits) {
  constexpr char kJob[] = R"y(stages:
  - flat_map: '{ r, r }'
  - aggregate: { n: count(), s: sum(v) }
  - rate_limit: { rate: 1/s }
  - dedupe: { by: r.n % 3 }
)y";
  PipelineRig waiting(kJob, Options()), plain(kJob);
  ASSERT_TRUE(plain.Feed(kThree)->done);
  absl::StatusOr<StepResult> result = waiting.Feed(kThree);
  int pauses = 0;
  while (result.ok() && !result->done && ++pauses < 100) {
    pacer_.tokens = 1;
    result = waiting.Again(result->resume_record);
  }
  EXPECT_EQ(pauses, 6);  // one token at a time, and two for each record
  EXPECT_EQ(waiting.state().Dump(), plain.state().Dump());
  EXPECT_EQ(waiting.sink.outputs, plain.sink.outputs);
  EXPECT_EQ(waiting.sink.labels, plain.sink.labels);
}

TEST_F(WaitTest, DoesNotCountAsAnAttempt) {
  PipelineRig rig(R"y(stages:
  - rate_limit: { rate: 1/s }
  - filter: r.missing > 1
    retry: { attempts: 2, backoff: 7s }
)y",
                  Options());
  EXPECT_EQ(rig.Feed({{"a", "{}"}})->retry_after, absl::Milliseconds(250));
  EXPECT_EQ(rig.Again(0)->retry_after, absl::Milliseconds(250));
  pacer_.tokens = 1;
  EXPECT_EQ(rig.Again(0)->retry_after, absl::Seconds(7));
  EXPECT_EQ(rig.progress().retries, 1u);
  EXPECT_TRUE(rig.Again(0)->done);  // it has paid: no second token
  EXPECT_THAT(rig.sink.letter_attempts, ElementsAre(2));
}

TEST_F(WaitTest, AsksForEachKeyOrOnceForTheStage) {
  pacer_.tokens = 4;
  PipelineRig rig("stages:\n  - rate_limit: { rate: 1/s }\n  - rate_limit: { rate: 1/s, per: stage }\n",
                  Options());
  ASSERT_TRUE(rig.Feed({{"a", "{}"}, {"b", "{}"}})->done);
  EXPECT_THAT(pacer_.asked,
              ElementsAre("rate_limit-0 a", "rate_limit-1 ", "rate_limit-0 b", "rate_limit-1 "));
}

TEST_F(WaitTest, WhatTimeMadeDueTakesATokenAndDoesNotWait) {
  PipelineRig rig("stages:\n  - aggregate: { n: count() }\n    emit: final\n  - rate_limit: { rate: 1/s }\n",
                  Options());
  ASSERT_TRUE(rig.Feed({{"a", "{}"}, {"b", "{}"}})->done);
  pacer_.tokens = 1;
  ASSERT_TRUE(rig.End()->done);
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a {\"n\":1}", "b {\"n\":1}"));
  EXPECT_EQ(pacer_.tokens, 0);
}

}  // namespace
}  // namespace millrace
