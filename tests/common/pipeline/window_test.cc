#include "common/pipeline/window_stage.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/pipeline/pipeline_rig.h"

namespace millrace {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A job with event times and these stages.
std::string TimedJob(const std::string& stages) { return "time: { field: t }\nstages:\n" + stages; }
std::string OneWindow(const std::string& what) { return TimedJob("  - window: { " + what + " }\n"); }

Input RecordAt(int64_t ms, const std::string& value, const std::string& key = "a") {
  return {key, "{\"v\":" + value + "}", ms};
}

std::string Counted(const std::string& key, int n, int64_t start_ms, int64_t end_ms) {
  return StrCat(key, " {\"n\":", n, ",\"window_start\":", start_ms, ",\"window_end\":", end_ms, "}");
}

// All that is left but the progress.
bool HoldsNothing(const MemoryState& state) {
  const std::string dump = state.Dump();
  return dump.find(" = ") == std::string::npos && dump.find("waits") == std::string::npos;
}

TEST(WindowTest, ATumblingWindowIsPutOutOnceEventTimeHasPassedItsEnd) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count(), total: sum(v) }"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1"), RecordAt(9999, "2"), RecordAt(10'000, "4")}, 9999).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.Feed({}, 10'000).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"n":2,"total":3,"window_start":0,"window_end":10000})"));
  EXPECT_THAT(rig.sink.times, ElementsAre(9999));
  ASSERT_TRUE(rig.End().ok());
  EXPECT_EQ(rig.sink.outputs.back(), R"(a {"n":1,"total":4,"window_start":10000,"window_end":20000})");
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, WindowsThatCloseTogetherDoSoInOrderOfEndThenKey) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(11'000, "1", "a"), RecordAt(1000, "1", "b"), RecordAt(2000, "1", "a"),
                        RecordAt(12'000, "1", "A")},
                       99'000)
                  .ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(Counted("a", 1, 0, 10'000), Counted("b", 1, 0, 10'000),
                          Counted("A", 1, 10'000, 20'000), Counted("a", 1, 10'000, 20'000)));
  EXPECT_THAT(rig.sink.labels, ElementsAre("1.0", "1.1", "1.2", "1.3"));
}

TEST(WindowTest, WindowsBefore1970AreAlignedLikeAllOthers) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(-1, "1"), RecordAt(-10'000, "1"), RecordAt(0, "1")}, -1).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, -10'000, 0), Counted("a", 1, 0, 10'000)));
}

TEST(WindowTest, LatenessKeepsAWindowOpenForRecordsOutOfOrder) {
  PipelineRig rig(OneWindow("tumbling: 10s, lateness: 5s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}, 14'999).ok());
  ASSERT_TRUE(rig.Feed({RecordAt(9000, "1")}, 15'000).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 0, 10'000)));
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(WindowTest, ALateRecordIsADeadLetterWhateverOnErrorSays) {
  for (const char* on_error : {"dead_letter", "skip", "fail", "retry"}) {
    PipelineRig rig(OneWindow("tumbling: 10s, lateness: 5s, aggregate: { n: count() }") +
                    StrCat("on_error: ", on_error, "\n"));
    ASSERT_TRUE(rig.Feed({RecordAt(12'000, "1")}, 15'000).ok());
    ASSERT_TRUE(rig.Feed({RecordAt(9999, "7"), RecordAt(10'000, "1")}, 15'000).ok());
    EXPECT_THAT(rig.sink.letters,
                ElementsAre("0 window-0: late: it is of 1970-01-01T00:00:09.999Z, event time had come to "
                            "1970-01-01T00:00:15Z and its window was closed — try more `lateness` than 5s"))
        << on_error;
    EXPECT_EQ(rig.progress().dead_letters, 1u);
    EXPECT_EQ(rig.progress().records_in, 3u);
    ASSERT_TRUE(rig.End().ok());
    EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 10'000, 20'000)));
  }
}

TEST(WindowTest, ALateRecordThatIsDroppedIsCounted) {
  PipelineRig rig(OneWindow("tumbling: 10s, late: drop, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(12'000, "1")}, 12'000).ok());
  ASSERT_TRUE(rig.Feed({RecordAt(9999, "1")}, 12'000).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_EQ(rig.progress().skipped, 1u);
  EXPECT_EQ(rig.progress().records_in, 2u);
}

TEST(WindowTest, ARecordIsInEachOfTheSlidingWindowsThatHoldIt) {
  PipelineRig rig(OneWindow("sliding: 10s, every: 5s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(7000, "1"), RecordAt(12'000, "1"), RecordAt(1000, "1")}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 1, -5000, 5000), Counted("a", 2, 0, 10'000),
                                            Counted("a", 2, 5000, 15'000), Counted("a", 1, 10'000, 20'000)));
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, SlidingWindowsNeedNotFitIntoOneAnother) {
  PipelineRig rig(OneWindow("sliding: 10s, every: 4s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(9000, "1")}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 1, 0, 10'000), Counted("a", 1, 4000, 14'000),
                                            Counted("a", 1, 8000, 18'000)));
}

TEST(WindowTest, ARecordThatIsLateForSomeWindowsGoesIntoTheOthers) {
  PipelineRig rig(OneWindow("sliding: 10s, every: 5s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(11'000, "1")}, 11'000).ok());
  ASSERT_TRUE(rig.Feed({RecordAt(7000, "1")}, 11'000).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 5000, 15'000), Counted("a", 1, 10'000, 20'000)));
}

TEST(WindowTest, ASessionEndsAGapBehindItsLastRecord) {
  PipelineRig rig(OneWindow("session: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(0, "1"), RecordAt(9999, "1")}, 19'998).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.Feed({RecordAt(19'999, "1")}, 19'999).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 0, 19'999)));
  EXPECT_THAT(rig.sink.times, ElementsAre(19'998));
  ASSERT_TRUE(rig.End().ok());
  EXPECT_EQ(rig.sink.outputs.back(), Counted("a", 1, 19'999, 29'999));
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, ASessionThatGoesOnIsNotPutOutAtItsEarlierEnd) {
  PipelineRig rig(OneWindow("session: 10s, aggregate: { n: count() }"));
  for (const int64_t ms : {0, 8000, 16'000, 24'000}) ASSERT_TRUE(rig.Feed({RecordAt(ms, "1")}, ms).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.Feed({RecordAt(34'000, "1", "b")}, 34'000).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 4, 0, 34'000)));
}

TEST(WindowTest, ARecordBetweenTwoSessionsJoinsThem) {
  PipelineRig rig(
      OneWindow("session: 10s, aggregate: { n: count(), total: sum(v), mean: avg(v), least: min(v), "
                "most: max(v), first: first(v), last: last(v), kinds: distinct(v) }"));
  // The later session comes first in the log, so its value is the first.
  ASSERT_TRUE(
      rig.Feed({RecordAt(15'000, "5"), RecordAt(0, "7"), RecordAt(1000, "5"), RecordAt(8000, "6")}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"n":4,"total":23,"mean":5.75,"least":5,"most":7,"first":5,"last":6,)"
                          R"("kinds":3,"window_start":0,"window_end":25000})"));
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, SessionsThatCannotBeJoinedStayAsTheyAreAndTheRecordFails) {
  PipelineRig rig(OneWindow("session: 10s, aggregate: { most: max(v), kinds: distinct(v) }"));
  ASSERT_TRUE(rig.Feed({RecordAt(0, "7"), RecordAt(15'000, "\"x\""), {"a", "{}", 8000}}).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("max(v) has numbers in one and strings in the other")));
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"most":7,"kinds":1,"window_start":0,"window_end":10000})",
                          R"(a {"most":"x","kinds":1,"window_start":15000,"window_end":25000})"));
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, ARecordOfAnOpenSessionIsNotLate) {
  PipelineRig rig(OneWindow("session: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(0, "1"), RecordAt(9000, "1")}, 18'000).ok());
  // Alone it would have ended at 11 s; the session it belongs to is open until 19 s.
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}, 18'000).ok());
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1", "b")}, 18'000).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("late")));
}

TEST(WindowTest, AnEarlierSessionOpenedLaterIsPutOutFirst) {
  PipelineRig rig(OneWindow("session: 10s, lateness: 1h, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(100'000, "1")}, 100'000).ok());
  ASSERT_TRUE(rig.Feed({RecordAt(10'000, "1")}, 100'000).ok());
  ASSERT_TRUE(rig.Feed({}, 3'620'000).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 1, 10'000, 20'000)));
}

TEST(WindowTest, ARecordThatFailsHasNoEffectInAnyOfItsWindows) {
  PipelineRig rig(OneWindow("sliding: 10s, every: 5s, aggregate: { kinds: distinct(v), total: sum(v) }"));
  ASSERT_TRUE(rig.Feed({RecordAt(7000, "1"), RecordAt(7000, "\"x\"")}).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("sum(v) needs a number")));
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"kinds":1,"total":1,"window_start":0,"window_end":10000})",
                          R"(a {"kinds":1,"total":1,"window_start":5000,"window_end":15000})"));
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, ARecordTooFarFrom1970Fails) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(kMaxWindowTimeMs + 1, "1"), RecordAt(kMaxWindowTimeMs, "1")}).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("too far from 1970")));
}

TEST(WindowTest, AKeysOpenWindowsAreBounded) {
  PipelineRig rig(OneWindow("tumbling: 1ms, lateness: 1h, aggregate: { n: count() }"));
  std::vector<Input> records;
  for (size_t i = 0; i <= kMaxOpenWindowsOfKey; ++i)
    records.push_back(RecordAt(static_cast<int64_t>(i), "1"));
  records.push_back(RecordAt(5, "1"));
  ASSERT_TRUE(rig.Feed(records).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("its key has 10000 open windows")));
}

// One for each key, which waits under its first window's end.
TEST(WindowTest, BeyondTheMostKeysThatMayWaitARecordFailsAndTheOthersGoOn) {
  for (const std::string what : {"tumbling: 10s", "session: 10s", "sliding: 10s, every: 5s"}) {
    PipelineRig rig(OneWindow(what + ", lateness: 1h, aggregate: { n: count(), kinds: distinct(v) }"));
    rig.BoundOrderedSets(2);
    ASSERT_TRUE(rig.Feed({RecordAt(5000, "1", "a"), RecordAt(5000, "1", "b"), RecordAt(5000, "1", "c"),
                          RecordAt(0, "2", "a"), RecordAt(25'000, "3", "b")})
                    .ok());
    EXPECT_THAT(rig.sink.letters, ElementsAre("2 window-0: its window cannot be opened: over 2 entries wait"))
        << what;
    EXPECT_TRUE(absl::IsNotFound(rig.pipeline().StateJson(rig.state(), "c").status()));
    ASSERT_TRUE(rig.Feed({}, 3'615'000).ok());  // what closes makes room
    ASSERT_TRUE(rig.Feed({RecordAt(50'000, "1", "c")}).ok());
    EXPECT_EQ(rig.sink.letters.size(), 1u) << what;
    ASSERT_TRUE(rig.End().ok());
    EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
  }
}

TEST(WindowTest, StateShowsTheOpenWindowsOfAKey) {
  PipelineRig rig(OneWindow("session: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(0, "1"), RecordAt(30'000, "1"), RecordAt(31'000, "1")}).ok());
  EXPECT_EQ(
      *rig.pipeline().StateJson(rig.state(), "a"),
      R"([{"n":1,"window_start":0,"window_end":10000},{"n":2,"window_start":30000,"window_end":41000}])");
  EXPECT_TRUE(absl::IsNotFound(rig.pipeline().StateJson(rig.state(), "b").status()));
}

TEST(WindowTest, AFailureBehindAWindowIsADeadLetterWithWhatItHeld) {
  PipelineRig rig(
      TimedJob("  - window: { tumbling: 10s, aggregate: { n: count() } }\n"
               "  - map: \"r.n == 2 and error('two') or r\"\n"));
  ASSERT_TRUE(
      rig.Feed({RecordAt(0, "1", "b"), RecordAt(1, "1", "a"), RecordAt(2, "1", "a"), RecordAt(3, "1", "c")},
               10'000)
          .ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(HasSubstr("b {"), HasSubstr("c {")));
  EXPECT_THAT(rig.sink.letters, ElementsAre(AllOf(HasSubstr("map-1"), HasSubstr("two"))));
  EXPECT_THAT(rig.sink.letter_values, ElementsAre(Not(IsEmpty())));
}

TEST(WindowTest, WindowsOfWindowsLoseNothingWhenEventTimeGoesFarAtOnce) {
  PipelineRig rig(
      TimedJob("  - window: { tumbling: 10s, lateness: 5s, aggregate: { n: count() } }\n"
               "  - window: { tumbling: 20s, aggregate: { n: sum(n), parts: count() } }\n"));
  ASSERT_TRUE(
      rig.Feed({RecordAt(1000, "1"), RecordAt(11'000, "1"), RecordAt(12'000, "1"), RecordAt(21'000, "1")},
               21'000)
          .ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  // The first window has closed; the second one's is open until all of its parts are there.
  ASSERT_TRUE(rig.Feed({RecordAt(6000, "1", "b")}, 24'999).ok());
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("late")));
  ASSERT_TRUE(rig.Feed({}, 9'000'000).ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"n":3,"parts":2,"window_start":0,"window_end":20000})",
                          R"(a {"n":1,"parts":1,"window_start":20000,"window_end":40000})"));
  EXPECT_EQ(rig.sink.letters.size(), 1u);
}

TEST(WindowTest, BehindAWindowEventTimeIsLaterByItsLateness) {
  PipelineRig rig(
      TimedJob("  - window: { tumbling: 10s, lateness: 5s, aggregate: { n: count() } }\n"
               "  - window: { tumbling: 20s, lateness: 2s, aggregate: { n: sum(n) } }\n"));
  EXPECT_EQ(rig.pipeline().WatermarkBehind(100'000), 93'000);
  EXPECT_EQ(rig.pipeline().WatermarkBehind(kNoTime), kNoTime);
  EXPECT_EQ(rig.pipeline().WatermarkBehind(kEndOfTime), kEndOfTime);
}

TEST(WindowTest, AtTheEndWindowsWaitForWhatIsPutOutInFrontOfThem) {
  PipelineRig rig(
      TimedJob("  - aggregate: { n: count() }\n    emit: final\n"
               "  - window: { tumbling: 10s, aggregate: { keys: count(), n: sum(n) } }\n"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1"), RecordAt(2000, "1"), RecordAt(12'000, "1")}, 12'000).ok());
  // As an ingest ends: its last word on event time stays what it was.
  ASSERT_TRUE(rig.FeedEnd(FrameOf({}, 12'000, FrameKind::kEnd)).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(R"(a {"keys":1,"n":3,"window_start":10000,"window_end":20000})"));
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(WindowTest, TimersAndWindowsRunInOrderOfWhatTheyAreDueBy) {
  const std::string timers =
      "  - keyed:\n      lua: |\n        timer_at(5000) timer_at(15000) emit(r)\n"
      "        function on_timer() emit({ timer = time }) end\n"
      "    name: timers\n";
  PipelineRig rig(TimedJob(timers + "  - window: { tumbling: 10s, aggregate: { n: count() } }\n"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}, 1000).ok());
  ASSERT_TRUE(rig.Feed({}, 100'000).ok());
  // What a timer emits at 5 s is still in the first window, and that of 15 s in the second.
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 0, 10'000), Counted("a", 1, 10'000, 20'000)));
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(WindowTest, AtTheEndATimerForEachWindowFiresHoweverManyThereAre) {
  PipelineRig rig(
      TimedJob("  - window: { tumbling: 10s, aggregate: { n: count() } }\n"
               "  - keyed:\n      lua: |\n        state.n = (state.n or 0) + 1 timer_at(time + 1)\n"
               "        function on_timer() emit({ n = state.n }) end\n"));
  std::vector<Input> records;
  for (int64_t i = 0; i < 500; ++i) records.push_back(RecordAt(i * 10'000, "1"));
  ASSERT_TRUE(rig.Feed(records, 0).ok());
  ASSERT_TRUE(rig.FeedEnd(FrameOf({}, 0, FrameKind::kEnd)).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 500u);
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(WindowTest, AtTheEndTimersMayRepeatBehindEachOfManyWindows) {
  PipelineRig rig(TimedJob(
      "  - window: { tumbling: 10s, aggregate: { n: count() } }\n"
      "  - keyed:\n      lua: |\n        state.left = 5 timer_at(time + 1)\n"
      "        function on_timer()\n          state.left = state.left - 1\n"
      "          if state.left > 0 then timer_at(time + 1) else emit({ done = true }) end\n        end\n"));
  std::vector<Input> records;
  for (int64_t i = 0; i < 200; ++i) records.push_back(RecordAt(i * 10'000, "1"));
  ASSERT_TRUE(rig.Feed(records, 0).ok());
  ASSERT_TRUE(rig.FeedEnd(FrameOf({}, 0, FrameKind::kEnd)).ok());
  EXPECT_EQ(rig.sink.outputs.size(), 200u);
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(WindowTest, ATimerThatRepeatsForEverDoesNotKeepWindowsOpenAtTheEnd) {
  PipelineRig rig(
      TimedJob("  - keyed:\n      lua: |\n        timer_at(time + 1) emit(r)\n"
               "        function on_timer() timer_at(time + 1) end\n"
               "  - window: { tumbling: 10s, aggregate: { n: count() } }\n"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}, 1000).ok());
  ASSERT_TRUE(rig.FeedEnd(FrameOf({}, 1000, FrameKind::kEnd)).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 1, 0, 10'000)));
  EXPECT_THAT(rig.sink.letters, ElementsAre(HasSubstr("a timer was still set again")));
  EXPECT_EQ(rig.state().Dump().find("waits"), std::string::npos) << rig.state().Dump();
}

constexpr char kWindowsInBranches[] = R"y(  - partition:
      - when: r.v < 0
        stages:
          - window: { tumbling: 10s, lateness: 5s, aggregate: { below: count() } }
      - stages:
          - broadcast:
              - stages: []
              - stages:
                  - window: { tumbling: 5s, lateness: 20s, aggregate: { n: count() } }
          - filter: r.n
  - window: { tumbling: 20s, lateness: 2s, aggregate: { below: sum(below), n: sum(n), parts: count() } }
)y";

TEST(WindowTest, BehindBranchesEventTimeIsLaterByTheLongestLatenessInAnyOfThem) {
  PipelineRig rig(TimedJob(kWindowsInBranches));
  EXPECT_EQ(rig.pipeline().WatermarkBehind(100'000), 78'000);
}

TEST(WindowTest, WindowsInBranchesCloseEachAtItsTimeAndNoneIsLateBehindThem) {
  PipelineRig rig(TimedJob(kWindowsInBranches));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "-1"), RecordAt(2000, "-1"), RecordAt(1000, "1"), RecordAt(6000, "1"),
                        RecordAt(21'000, "1")},
                       15'000)
                  .ok());
  // That of the first branch has closed, and waits behind for those of the second.
  EXPECT_EQ(*rig.pipeline().StateJson(rig.state(), "a"),
            R"([{"below":2,"n":0,"parts":1,"window_start":0,"window_end":20000}])");
  ASSERT_TRUE(rig.Feed({}, 41'999).ok());
  EXPECT_THAT(rig.sink.outputs, IsEmpty());
  ASSERT_TRUE(rig.Feed({}, 42'000).ok());
  EXPECT_THAT(rig.sink.outputs,
              ElementsAre(R"(a {"below":2,"n":2,"parts":3,"window_start":0,"window_end":20000})"));
  ASSERT_TRUE(rig.End().ok());
  EXPECT_EQ(rig.sink.outputs.back(),
            R"(a {"below":0,"n":1,"parts":1,"window_start":20000,"window_end":40000})");
  EXPECT_THAT(rig.sink.letters, IsEmpty());
  EXPECT_TRUE(HoldsNothing(rig.state())) << rig.state().Dump();
}

TEST(WindowTest, ARecordThatFailsInABranchIsInNoWindowOfAnother) {
  PipelineRig rig(TimedJob(R"y(  - broadcast:
      - stages: [ { window: { tumbling: 10s, late: drop, aggregate: { n: count() } } } ]
      - stages: [ { filter: 'r.v < 9 and error("no")' } ]
)y"));
  ASSERT_TRUE(rig.Feed({RecordAt(11'000, "9")}, 10'000).ok());
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1"), RecordAt(11'000, "1")}, 10'000).ok());
  EXPECT_EQ(rig.sink.letters.size(), 2u);
  EXPECT_EQ(rig.progress().skipped, 0u);  // it became a dead letter, which is count enough
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 1, 10'000, 20'000)));
}

TEST(WindowTest, TtlLeavesOpenWindowsAlone) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count() }") + "ttl: 1s\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}).ok());
  rig.broker_time_ms = 1'000'000;
  ASSERT_TRUE(rig.Feed({RecordAt(2000, "1")}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 0, 10'000)));
}

TEST(WindowWithoutTimeTest, GoesByTheBrokersTimeAndATickClosesIt) {
  PipelineRig rig("stages:\n  - window: { tumbling: 10s, lateness: 1s, aggregate: { n: count() } }\n");
  rig.broker_time_ms = 1000;
  ASSERT_TRUE(rig.Feed({RecordAt(kNoTime, "1")}).ok());
  // The broker's clock goes back: a record is not late for that.
  rig.broker_time_ms = 500;
  ASSERT_TRUE(rig.Feed({RecordAt(kNoTime, "1")}).ok());
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), 11'000);
  rig.broker_time_ms = 11'000;
  ASSERT_TRUE(rig.FeedFrame(FrameOf({}, kNoTime, FrameKind::kTick)).ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 0, 10'000)));
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
}

TEST(WindowWithoutTimeTest, RecordsOfACopiedLogAreNotLate) {
  PipelineRig rig("stages:\n  - window: { tumbling: 10s, aggregate: { n: count() } }\n");
  rig.broker_time_ms = 100'000;
  ASSERT_TRUE(rig.Feed({}).ok());
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1"), RecordAt(2000, "1")}).ok());
  ASSERT_TRUE(rig.End().ok());
  EXPECT_THAT(rig.sink.outputs, ElementsAre(Counted("a", 2, 100'000, 110'000)));
  EXPECT_THAT(rig.sink.letters, IsEmpty());
}

TEST(WindowWithoutTimeTest, WithEventTimesNoTickIsAskedFor) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}, 1000).ok());
  EXPECT_EQ(rig.pipeline().NextDueMs(rig.state()), kEndOfTime);
}

TEST(WindowRowTest, ADamagedRowStopsThePartition) {
  PipelineRig rig(OneWindow("tumbling: 10s, aggregate: { n: count() }"));
  ASSERT_TRUE(rig.Feed({RecordAt(1000, "1")}).ok());
  StateSlot* const slot = *rig.state().Find(0, "a");
  slot->Mutable(slot->value().size() - 1);
  EXPECT_TRUE(absl::IsDataLoss(rig.Feed({RecordAt(1000, "1")}).status()));
}

}  // namespace
}  // namespace millrace
