// Stages whose code runs in handler processes come to what the same code in Lua comes to.
#include <random>

#include "common/handler/call_memos.h"
#include "common/handler/handler_pool.h"
#include "common/handler/handler_stages.h"
#include "common/pipeline/rate_pacer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/pipeline/pipeline_rig.h"
#include "tests/support/fake_handlers.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kRemote[] = "{ remote: 'ipc:///run/{worker}.sock' }";
constexpr char kTotalInLua[] =
    "{ lua: 'if r.g == \"fail\" then error(\"it fails\") end state.total = (state.total or 0) + r.v; "
    "emit({ total = state.total })' }";

// A pipeline with a pool of handlers, and who goes between them.
class RemoteRig {
 public:
  explicit RemoteRig(const std::string& stages, FakeHandlers::Plan plan = {}, RatePacer* pacer = nullptr)
      : RemoteRig(PipelineRig::Parse(stages), std::move(plan), pacer) {}
  RemoteRig(const JobSpec& spec, FakeHandlers::Plan plan, RatePacer* pacer = nullptr)
      : memos(1, HandlerStagesOf(spec, "uid")),
        handlers(std::move(plan), clock),
        pool({memos.stages().front(), "w", "life"}, handlers, clock),
        rig(spec, {.pacer = pacer, .calls = &memos}) {
    rig.attempts = &attempts;
  }

  absl::StatusOr<StepResult> Feed(const std::vector<Input>& records) { return ToEnd(rig.Feed(records)); }
  absl::StatusOr<StepResult> End() {
    absl::StatusOr<StepResult> result = rig.End();
    return ToEnd(std::move(result));
  }

  absl::StatusOr<StepResult> ToEnd(absl::StatusOr<StepResult> result) {
    rounds = 1;
    while (result.ok() && result->waits_for_calls) {
      if (!AnswerAll()) return absl::DeadlineExceededError("handlers do not answer");
      ++rounds;
      result = rig.Again(0);
    }
    memos.Finish(rig.last_offset());
    return result;
  }

  bool AnswerAll() {
    for (const CallMemos::Failure& failure : memos.TakeFailures()) {
      CountVerdict({failure.offset, failure.record, failure.why, memos.stages()[failure.stage].name,
                    failure.lost ? Verdict::Outcome::kLost : Verdict::Outcome::kFailed},
                   &attempts);
    }
    for (auto& [stage, calls] : memos.TakeAsked()) {
      for (HandlerCall& call : calls) pool.Add(std::move(call));
    }
    for (int turn = 0; turn < 100'000 && memos.outstanding() > 0; ++turn) {
      handlers.Run(pool);
      clock.Advance(absl::Milliseconds(1));
      pool.Work();
      for (CallAnswer& answer : pool.TakeAnswers()) memos.Take(std::move(answer));
    }
    return memos.outstanding() == 0;
  }

  ManualClock clock;
  CallMemos memos;
  FakeHandlers handlers;
  HandlerPool pool;
  VerdictAttempts attempts;
  PipelineRig rig;
  int rounds = 0;  // Steps that the last message took
};

Input RecordOf(const std::string& key, int v, const std::string& deed = "") {
  return {key, absl::StrCat(R"({"v":)", v, R"(,"g":")", deed, "\"}")};
}

TEST(RemoteStage, WithoutAnswersAStepHasNoEffect) {
  RemoteRig rig(absl::StrCat("stages:\n  - keyed: ", kRemote, "\n"));
  const std::string before = rig.rig.state().Dump();
  const absl::StatusOr<StepResult> result =
      rig.rig.Feed({RecordOf("a", 1), RecordOf("a", 2), RecordOf("b", 3)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->done);
  EXPECT_TRUE(result->waits_for_calls);
  EXPECT_EQ(rig.rig.state().Dump(), before);
  EXPECT_THAT(rig.rig.sink.outputs, IsEmpty());
  // All of them at once, the second of a key on what the first leaves.
  const auto asked = rig.memos.TakeAsked();
  ASSERT_EQ(asked.size(), 1U);
  ASSERT_EQ(asked[0].second.size(), 3U);
  EXPECT_TRUE(asked[0].second[0].state.has_value());
  EXPECT_FALSE(asked[0].second[1].state.has_value());
  // And not again while they are under way.
  EXPECT_TRUE(rig.rig.Again(0)->waits_for_calls);
  EXPECT_THAT(rig.memos.TakeAsked(), IsEmpty());
}

TEST(RemoteStage, TakesItsMessageInTwoStepsWhenNothingFails) {
  RemoteRig rig(absl::StrCat("stages:\n  - keyed: ", kRemote, "\n"));
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("a", 2), RecordOf("b", 3), RecordOf("a", 4)})->done);
  EXPECT_EQ(rig.rounds, 2);
  EXPECT_THAT(rig.rig.sink.outputs,
              ElementsAre("a {\"total\":1}", "a {\"total\":3}", "b {\"total\":3}", "a {\"total\":7}"));
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1)})->done);
  EXPECT_EQ(rig.rig.sink.outputs.back(), "a {\"total\":8}");
}

TEST(RemoteStage, WithoutHandlersTheStepSaysSo) {
  PipelineRig rig(absl::StrCat("stages:\n  - keyed: ", kRemote, "\n"));
  EXPECT_EQ(rig.Feed({RecordOf("a", 1)}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(RemoteStage, AFailedCallIsADeadLetterAndItsKeyGoesOn) {
  RemoteRig rig(absl::StrCat("stages:\n  - keyed: ", kRemote, "\n"));
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("a", 2, "fail"), RecordOf("a", 4)})->done);
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre("a {\"total\":1}", "a {\"total\":5}"));
  ASSERT_EQ(rig.rig.sink.letters.size(), 1U);
  EXPECT_THAT(rig.rig.sink.letters[0], HasSubstr("it fails"));
  EXPECT_THAT(rig.rig.sink.letter_attempts, ElementsAre(1));
}

TEST(RemoteStage, ACallThatKillsHandlersIsADeadLetterAfterThreeOfThem) {
  RemoteRig rig(absl::StrCat("stages:\n  - keyed: ", kRemote, "\n"));
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("a", 2, "die"), RecordOf("b", 4)})->done);
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre("a {\"total\":1}", "b {\"total\":4}"));
  EXPECT_THAT(rig.rig.sink.letters, ElementsAre(HasSubstr("its handler ended (3 times)")));
}

TEST(RemoteStage, RetriesCountAsTheStageSays) {
  int failures = 0;
  FakeHandlers::Plan plan;
  plan.deed = [&](const nlohmann::json& value) { return value["v"] == 2 && failures++ < 2 ? "fail" : ""; };
  RemoteRig rig(absl::StrCat("stages:\n  - keyed: ", kRemote, "\n    retry: { attempts: 3, backoff: 1ms }\n"),
                plan);
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("a", 2), RecordOf("a", 4)})->done);
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre("a {\"total\":1}", "a {\"total\":3}", "a {\"total\":7}"));
  EXPECT_THAT(rig.rig.sink.letters, IsEmpty());
}

TEST(RemoteStage, AStageBehindThatFailsTakesTheStateBackAndTheRestIsCalledAgain) {
  RemoteRig rig(
      absl::StrCat("stages:\n  - keyed: ", kRemote, "\n  - filter: 'r.total ~= 3 or error(\"three\")'\n"));
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("a", 2), RecordOf("a", 4), RecordOf("a", 8)})->done);
  EXPECT_THAT(rig.rig.sink.outputs, ElementsAre("a {\"total\":1}", "a {\"total\":5}", "a {\"total\":13}"));
  EXPECT_EQ(rig.rig.sink.letters.size(), 1U);
  EXPECT_EQ(rig.rounds, 3);
}

TEST(RemoteStage, InspectedIsCountedOnce) {
  RemoteRig rig(absl::StrCat("stages:\n  - inspect: 'true'\n  - keyed: ", kRemote, "\n"));
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("b", 2)})->done);
  EXPECT_EQ(rig.rig.pipeline().InspectCounts().front().second, 2U);
}

TEST(RemoteStage, FlatMapHandsOnWhatTheHandlerMakes) {
  RemoteRig rig(
      absl::StrCat("stages:\n  - flat_map: ", kRemote, "\n  - aggregate: { n: count(), sum: sum(total) }\n"),
      {.mode = "stateless"});
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("a", 2), RecordOf("b", 4)})->done);
  EXPECT_THAT(rig.rig.sink.outputs,
              ElementsAre("a {\"n\":1,\"sum\":1}", "a {\"n\":2,\"sum\":3}", "b {\"n\":1,\"sum\":4}"));
}

TEST(RemoteStage, WhatTimeMadeDueTakesATokenOnceHoweverOftenItsMessageIsTried) {
  class CountingPacer final : public RatePacer {
   public:
    absl::Duration Take(const std::string&, std::string_view, const TokenRule&) override {
      ++taken;
      return absl::ZeroDuration();
    }
    int taken = 0;
  };
  CountingPacer pacer;
  RemoteRig rig(
      absl::StrCat("stages:\n  - aggregate: { v: count() }\n    emit: final\n  - rate_limit: { rate: 1/s }\n"
                   "  - flat_map: ",
                   kRemote, "\n"),
      {.mode = "stateless"}, &pacer);
  ASSERT_TRUE(rig.Feed({RecordOf("a", 1), RecordOf("b", 2)})->done);
  ASSERT_TRUE(rig.End()->done);
  EXPECT_GT(rig.rounds, 1);
  EXPECT_EQ(rig.rig.sink.outputs.size(), 2U);
  EXPECT_EQ(pacer.taken, 2);
}

// What the seeds do: frames of records of few keys, some of which fail, at the handler or behind it.
TEST(RemoteStage, ComesToWhatLuaComesTo) {
  const std::string before =
      "stages:\n  - map: { v: r.v + 0, g: r.g }\n  - aggregate: { v: sum(v), g: last(g) }\n  - keyed: ";
  const std::string behind =
      "\n  - map: { total: r.total }\n  - filter: 'r.total % 5 ~= 0 or error(\"five\")'\n"
      "  - aggregate: { n: count(), worst: max(total) }\n";
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    RemoteRig remote(before + kRemote + behind, {.processes = 3});
    PipelineRig lua(before + kTotalInLua + behind);
    for (int frame = 0; frame < 6; ++frame) {
      std::vector<Input> records;
      for (uint64_t i = random() % 30; i > 0; --i) {
        const std::string deed = random() % 11 == 0 ? "fail" : "";
        records.push_back(RecordOf(std::string(1, static_cast<char>('a' + random() % 4)),
                                   static_cast<int>(random() % 9), deed));
      }
      const absl::StatusOr<StepResult> stepped = remote.Feed(records);
      ASSERT_TRUE(stepped.ok()) << "seed " << seed << ": " << stepped.status();
      ASSERT_TRUE(stepped->done);
      ASSERT_TRUE(lua.Feed(records)->done);
      if (random() % 3 == 0) remote.handlers.KillAll();
    }
    ASSERT_TRUE(remote.End()->done);
    ASSERT_TRUE(lua.End()->done);
    EXPECT_EQ(remote.rig.sink.outputs, lua.sink.outputs) << "seed " << seed;
    EXPECT_EQ(remote.rig.sink.labels, lua.sink.labels) << "seed " << seed;
    EXPECT_EQ(remote.rig.sink.letters.size(), lua.sink.letters.size()) << "seed " << seed;
    EXPECT_EQ(remote.rig.state().Dump(), lua.state().Dump()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace
