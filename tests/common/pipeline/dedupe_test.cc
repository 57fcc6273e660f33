// `dedupe`: what passes, for how long a kind is remembered, and what is left of it in the state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Input Event(const std::string& key, const std::string& id) { return {key, StrCat(R"({"id":)", id, "}")}; }

class DedupeTest : public ::testing::Test {
 protected:
  void FeedAt(int64_t log_time_ms, const std::vector<Input>& records) {
    rig_.broker_time_ms = log_time_ms;
    const absl::StatusOr<StepResult> fed = rig_.Feed(records);
    ASSERT_TRUE(fed.ok()) << fed.status();
  }
  std::string StateOf(const std::string& key) {
    return rig_.pipeline().StateJson(rig_.state(), key).value_or("none");
  }

  PipelineRig rig_{"stages:\n  - dedupe: { by: r.id, within: 10s }\n"};
};

TEST_F(DedupeTest, HandsOnTheFirstOfItsKindForEachKey) {
  FeedAt(1000, {Event("a", "1"), Event("a", "1"), Event("b", "1"), Event("a", "2"), Event("b", "1")});
  EXPECT_THAT(rig_.sink.outputs, ElementsAre("a {\"id\":1}", "b {\"id\":1}", "a {\"id\":2}"));
  EXPECT_EQ(StateOf("a"), R"({"remembered":2})");
  EXPECT_EQ(StateOf("b"), R"({"remembered":1})");
}

TEST_F(DedupeTest, ATextAndTheNumberItShowsAreTwoKinds) {
  FeedAt(1000, {Event("a", "1"), Event("a", "\"1\""), Event("a", "[1]"), Event("a", "[1]")});
  EXPECT_EQ(rig_.sink.outputs.size(), 3u);
}

TEST_F(DedupeTest, NoOtherKeyAndKindRunTogether) {
  FeedAt(1000, {Event("ab", "\"c\""), Event("a", "\"bc\""), Event("a", "\"c\"")});
  EXPECT_EQ(rig_.sink.outputs.size(), 3u);
}

TEST_F(DedupeTest, CountsFromTheRecordThatWasLetThroughAndNotFromTheLastSeen) {
  FeedAt(1000, {Event("a", "1")});
  FeedAt(6000, {Event("a", "1")});
  FeedAt(10'999, {Event("a", "1")});
  EXPECT_EQ(rig_.sink.outputs.size(), 1u);
  FeedAt(11'000, {Event("a", "1"), Event("a", "1")});
  EXPECT_EQ(rig_.sink.outputs.size(), 2u);
  FeedAt(20'999, {Event("a", "1")});
  EXPECT_EQ(rig_.sink.outputs.size(), 2u);
}

TEST_F(DedupeTest, ForgetsAKindWhoseTimeIsOverWithoutEverAskingForATick) {
  FeedAt(1000, {Event("a", "1"), Event("a", "2")});
  EXPECT_EQ(rig_.pipeline().NextDueMs(rig_.state()), kEndOfTime);
  FeedAt(12'000, {Event("b", "1")});  // a sixteenth later at most
  EXPECT_EQ(StateOf("a"), "none");
  FeedAt(60'000, {});
  rig_.state().progress() = {};
  EXPECT_EQ(rig_.state().Dump(), MemoryState().Dump());
}

TEST_F(DedupeTest, AKindWithoutAValueIsADeadLetter) {
  FeedAt(1000, {{"a", "{}"}, {"a", R"({"id":null})"}, Event("a", "false")});
  EXPECT_THAT(rig_.sink.letters,
              ElementsAre(HasSubstr("dedupe-0: `by` is nil here"), HasSubstr("`by` is nil")));
  EXPECT_EQ(rig_.sink.outputs.size(), 1u);
}

TEST_F(DedupeTest, ALongKindIsKeptAsADigest) {
  const std::string text(100'000, 'x');
  FeedAt(1000, {Event("a", StrCat("\"", text, "\"")), Event("a", StrCat("\"", text, "\"")),
                Event("a", StrCat("\"", text, "y\""))});
  EXPECT_EQ(rig_.sink.outputs.size(), 2u);
  EXPECT_LT(rig_.state().Dump().size(), 4000u);
}

TEST(Dedupe, WithoutItsOwnTimeGoesByTheJobsTtlOrRemembersForEver) {
  for (const bool has_ttl : {true, false}) {
    PipelineRig rig(StrCat(has_ttl ? "ttl: 10s\n" : "", "stages:\n  - dedupe: { by: r.id }\n"));
    rig.broker_time_ms = 1000;
    ASSERT_TRUE(rig.Feed({Event("a", "1")}).ok());
    rig.broker_time_ms = 11'000;
    ASSERT_TRUE(rig.Feed({Event("a", "1")}).ok());
    rig.broker_time_ms = int64_t{1} << 50;
    ASSERT_TRUE(rig.Feed({Event("a", "1")}).ok());
    EXPECT_EQ(rig.sink.outputs.size(), has_ttl ? 3u : 1u);
  }
}

TEST(Dedupe, ARecordThatFailsBehindItWasNotThere) {
  PipelineRig rig("stages:\n  - dedupe: { by: r.id }\n  - map: 'r.v or error(\"no v\")'\n");
  ASSERT_TRUE(rig.Feed({{"a", R"({"id":1})"}}).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("no v")));
  ASSERT_TRUE(rig.Feed({{"a", R"({"id":1,"v":7})"}, {"a", R"({"id":1,"v":8})"}}).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre("a 7"));
}

TEST(Dedupe, PeopleAreShownTheTotalsBehindItAndNotWhatItRemembers) {
  for (const std::string stages : {"  - dedupe: { by: r.v }\n  - aggregate: { n: count() }\n",
                                   "  - aggregate: { n: count() }\n  - dedupe: { by: r.n }\n"}) {
    PipelineRig rig("stages:\n" + stages);
    ASSERT_TRUE(rig.Feed({{"a", R"({"v":1})"}}).ok());
    EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"), R"({"n":1})");
  }
}

// Against a map of times, with a new pipeline at random: all there is lies in the state.
TEST(Dedupe, IsWhatAMapOfTimesSays) {
  std::mt19937_64 random(7);
  for (int run = 0; run < 50; ++run) {
    PipelineRig rig("stages:\n  - dedupe: { by: r.id, within: 50ms }\n");
    std::map<std::pair<uint64_t, uint64_t>, int64_t> let_through;
    size_t expected = 0;
    rig.broker_time_ms = 1000;
    for (int i = 0; i < 300; ++i) {
      rig.broker_time_ms += static_cast<int64_t>(random() % 10);
      const uint64_t key = random() % 3, id = random() % 4;
      const auto [last, is_new] = let_through.try_emplace({key, id}, rig.broker_time_ms);
      const bool passes = is_new || rig.broker_time_ms - last->second >= 50;
      if (passes) last->second = rig.broker_time_ms;
      expected += passes ? 1 : 0;
      ASSERT_TRUE(rig.Feed({Event(StrCat("k", key), StrCat(id))}).ok());
      ASSERT_EQ(rig.sink.outputs.size(), expected) << "run " << run << ", record " << i;
      if (random() % 8 == 0) rig.Restart();
    }
  }
}

}  // namespace
}  // namespace millrace
