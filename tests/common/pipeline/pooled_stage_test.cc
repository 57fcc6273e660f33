// Stages whose Lua runs in a pool's threads come to what the same code comes to without.
#include "common/pipeline/pooled_stage.h"

#include <random>

#include "common/handler/call_memos.h"
#include "common/handler/handler_stages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/pipeline/pipeline_rig.h"
#include "tests/support/lua_pool.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A pipeline with a pool for each stage that has one.
class PooledRig {
 public:
  explicit PooledRig(const std::string& stages, uint64_t seed = 1)
      : spec_(PipelineRig::Parse(stages)),
        memos(1, HandlerStagesOf(spec_, "uid", PooledLua::kInThreads)),
        rig(spec_, {.calls = &memos}),
        random_(seed) {
    for (const HandlerStage& stage : memos.stages()) {
      links.push_back(std::make_unique<LuaPool>(stage));
      HandlerPool::Options options{stage, "w", "life"};
      pools.push_back(std::make_unique<HandlerPool>(std::move(options), *links.back(), clock));
    }
  }

  absl::StatusOr<StepResult> ToEnd(absl::StatusOr<StepResult> result) {
    while (result.ok() && !result->done) {
      if (result->waits_for_calls) AnswerAll();
      result = rig.Again(result->resume_record);
    }
    memos.Finish(rig.last_offset());
    return result;
  }

  // Batches come back in any order.
  void AnswerAll() {
    EXPECT_THAT(memos.TakeFailures(), IsEmpty());
    for (auto& [stage, calls] : memos.TakeAsked()) {
      for (HandlerCall& call : calls) pools[stage]->Add(std::move(call));
    }
    for (int turn = 0; turn < 100'000 && memos.outstanding() > 0; ++turn) {
      const size_t i = random_() % pools.size();
      links[i]->Run(*pools[i], random_() % 2 == 0 ? LuaPool::Turn::kOldest : LuaPool::Turn::kNewest);
      pools[i]->Work();
      for (CallAnswer& answer : pools[i]->TakeAnswers()) memos.Take(std::move(answer));
    }
    ASSERT_EQ(memos.outstanding(), 0U);
  }

 private:
  JobSpec spec_;

 public:
  ManualClock clock;
  CallMemos memos;
  std::vector<std::unique_ptr<LuaPool>> links;
  std::vector<std::unique_ptr<HandlerPool>> pools;
  PipelineRig rig;

 private:
  std::mt19937_64 random_;
};

// The stages with CONCURRENCY in them as it is written in a job file.
std::string With(std::string stages, const std::string& setting) {
  const std::string mark = "CONCURRENCY";
  for (size_t at = stages.find(mark); at != std::string::npos; at = stages.find(mark)) {
    stages.replace(at, mark.size(), setting);
  }
  return stages;
}

// Fails for some records, sets timers, keeps numbers by number, emits headers and other keys.
constexpr char kEverything[] = R"(stages:
  - filter: 'r.v ~= 3 and (r.v ~= 5 or error("five"))'
    CONCURRENCY
  - map: { v: r.v * 2, g: r.g, from: 'headers.from or label', at: time }
    CONCURRENCY
  - flat_map: 'r.v > 60 and {r, { v = 1, g = key, from = r.from }} or {r}'
    CONCURRENCY
  - name: total
    CONCURRENCY
    keyed:
      lua: |
        if r.v == 14 then error("fourteen") end
        if r.v == 22 then timer(5000) end
        if r.v == 26 then timer_at(time + 3000) end
        state.total = (state.total or 0) + r.v
        state.seen = state.seen or {}
        state.seen[r.v] = label
        if r.v == 34 then state = nil end
        if r.v ~= 38 then
          emit({ total = state and state.total, from = r.from }, { headers = { v = tostring(r.v) } })
        end
        if r.v == 42 then emit({ other = 1 }, { key = key .. "+" }) end
        function on_timer()
          state.fired = (state.fired or 0) + 1
          emit({ fired = state.fired, ending = ending, label = label, at = time })
        end
  - filter: 'r.total ~= 30 or error("thirty")'
on_error: dead_letter
)";

std::vector<Input> RandomRecords(std::mt19937_64& random, int64_t base_ms) {
  std::vector<Input> records;
  for (uint64_t n = random() % 40; n > 0; --n) {
    Input input;
    input.key = std::string(1, static_cast<char>('a' + random() % 4));
    input.json =
        StrCat(R"({"v":)", random() % 40, R"(,"g":"g)", random() % 3, R"(","deep":{"x":[1,"\u00e9",null]}})");
    input.time_ms = base_ms + static_cast<int64_t>(random() % 1000);
    static constexpr const char* kFrom[] = {"north", "south", "\u00e9t\u00e9"};
    if (random() % 3 == 0) input.headers = {{"from", kFrom[random() % 3]}};
    records.push_back(std::move(input));
  }
  return records;
}

void ExpectSame(const PipelineRig& plain, PipelineRig& pooled, PipelineRig& plain_state) {
  EXPECT_EQ(pooled.sink.outputs, plain.sink.outputs);
  EXPECT_EQ(pooled.sink.labels, plain.sink.labels);
  EXPECT_EQ(pooled.sink.times, plain.sink.times);
  EXPECT_EQ(pooled.sink.header_texts, plain.sink.header_texts);
  EXPECT_EQ(pooled.sink.letters, plain.sink.letters);
  EXPECT_EQ(pooled.sink.letter_attempts, plain.sink.letter_attempts);
  EXPECT_EQ(pooled.state().Dump(), plain_state.state().Dump());
  EXPECT_EQ(pooled.progress(), plain.progress());
}

void RunBoth(const std::string& stages, const std::string& setting, uint64_t seed) {
  SCOPED_TRACE(StrCat(setting, " seed ", seed));
  std::mt19937_64 random(seed);
  PipelineRig plain(With(stages, "timeout: 2s\n    ordered: key"));  // as many lines: messages name them
  PooledRig pooled(With(stages, setting), seed);
  for (int frame = 0; frame < 12; ++frame) {
    const std::vector<Input> records = RandomRecords(random, frame * 1000);
    absl::StatusOr<StepResult> result = plain.Feed(records, frame * 1000);
    while (result.ok() && !result->done) result = plain.Again(result->resume_record);
    ASSERT_TRUE(result.ok()) << result.status();
    const absl::StatusOr<StepResult> same = pooled.ToEnd(pooled.rig.Feed(records, frame * 1000));
    ASSERT_TRUE(same.ok()) << same.status();
  }
  ASSERT_TRUE(plain.End().ok());
  ASSERT_TRUE(pooled.ToEnd(pooled.rig.End()).ok());
  EXPECT_FALSE(plain.sink.outputs.empty());
  EXPECT_FALSE(plain.sink.letters.empty());
  ExpectSame(plain, pooled.rig, plain);
}

TEST(PooledStage, ComesToTheSameAsWithoutAPool) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    RunBoth(kEverything, "concurrency: 2\n    ordered: key", seed);
    RunBoth(kEverything, "concurrency: 16\n    ordered: key", seed);
    RunBoth(kEverything, "concurrency: 4\n    ordered: partition", seed);
  }
}

TEST(PooledStage, RetriesAndSkippedRecordsAreTheSame) {
  const std::string stages(kEverything);
  for (const char* const errors :
       {"on_error: skip", "on_error: retry\nretry: { attempts: 3, backoff: 1ms }"}) {
    std::string changed = stages;
    changed.replace(changed.find("on_error: dead_letter"), std::string("on_error: dead_letter").size(),
                    errors);
    std::mt19937_64 random(7);
    PipelineRig plain(With(changed, "timeout: 2s"));
    PooledRig pooled(With(changed, "concurrency: 4"));
    for (int frame = 0; frame < 10; ++frame) {
      const std::vector<Input> records = RandomRecords(random, frame * 1000);
      absl::StatusOr<StepResult> result = plain.Feed(records);
      while (result.ok() && !result->done) result = plain.Again(result->resume_record);
      ASSERT_TRUE(result.ok()) << result.status();
      ASSERT_TRUE(pooled.ToEnd(pooled.rig.Feed(records)).ok());
    }
    ExpectSame(plain, pooled.rig, plain);
  }
}

TEST(PooledStage, AJobThatIsToFailFails) {
  PooledRig pooled("stages:\n  - map: 'error(\"no\")'\n    concurrency: 2\n    on_error: fail\n");
  const absl::StatusOr<StepResult> result = pooled.ToEnd(pooled.rig.Feed({{"a", "{}"}}));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kAborted);
}

TEST(PooledStage, CodeThatDoesNotCompileIsRefusedAtOnce) {
  const JobSpec spec = PipelineRig::Parse("stages:\n  - map: 'r.('\n    concurrency: 2\n");
  CallMemos memos(1, HandlerStagesOf(spec, "uid", PooledLua::kInThreads));
  PipelineOptions options;
  options.calls = &memos;
  EXPECT_EQ(Pipeline::Create(spec, options).status().code(), absl::StatusCode::kInvalidArgument);
}

// Which keys are out at once, of records a, a, b.
std::vector<size_t> BatchesOut(const std::string& setting) {
  PooledRig pooled(StrCat("stages:\n  - map: r\n    concurrency: 4\n", setting));
  EXPECT_TRUE(pooled.rig.Feed({{"a", "{}"}, {"a", "{}"}, {"b", "{}"}})->waits_for_calls);
  std::vector<HandlerCall> calls;
  for (auto& [stage, asked] : pooled.memos.TakeAsked()) calls = std::move(asked);
  CallQueue queue(CallQueue::RulesFor(pooled.memos.stages()[0]));
  std::vector<CallAnswer> answers;
  for (HandlerCall& call : calls) queue.Add(std::move(call), &answers);
  std::vector<size_t> sizes;
  while (true) {
    const CallQueue::Batch batch = queue.Next({.calls = 1}, true);
    if (batch.tasks.empty()) return sizes;
    sizes.push_back(batch.tasks.size());
  }
}

TEST(PooledStage, RecordsOfOneKeyRunAtOnceOnlyWhereNoOrderIsAskedFor) {
  EXPECT_THAT(BatchesOut(""), SizeIs(2));
  EXPECT_THAT(BatchesOut("    ordered: partition\n"), SizeIs(2));
  EXPECT_THAT(BatchesOut("    ordered: none\n"), SizeIs(3));
}

}  // namespace
}  // namespace millrace
