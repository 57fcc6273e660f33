#include "worker/lane/watchdog.h"

#include <csignal>

#include "common/frame/verdict.h"
#include "common/names.h"
#include "gtest/gtest.h"
#include "tests/support/memory_bus.h"
#include "worker/partition/verdict_append.h"

namespace millrace {
namespace {

class WatchdogTest : public testing::Test {
 protected:
  static constexpr uint64_t kInstance = 7;

  WatchdogTest() {
    StreamConfig config;
    config.name = key_.verdict_stream();
    config.subjects = {key_.verdict_subject()};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }

  std::unique_ptr<Watchdog::Slot> MakeSlot(uint64_t last_sequence = 0) {
    LogTail tail{WriterCursors(key_.uid), last_sequence};
    return std::make_unique<Watchdog::Slot>(watchdog_, kInstance, key_, Epoch(3), std::move(tail), low_mark_);
  }
  uint64_t Verdicts() { return bus_->GetStream(key_.verdict_stream())->messages; }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  int ends_ = 0;
  Watchdog watchdog_{*bus_, clock_, [this] { ++ends_; }};
  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(1)};
  Mark low_mark_;
  const std::string stage_ = "score";
};

TEST_F(WatchdogTest, ACallThatReturnsInTimeCostsNothing) {
  const auto slot = MakeSlot();
  slot->Enter(Offset(5), 2, absl::Seconds(1), stage_);
  clock_.Advance(absl::Milliseconds(999));
  watchdog_.Check();
  slot->Leave();
  clock_.Advance(absl::Hours(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 0);
  EXPECT_EQ(Verdicts(), 0u);
}

TEST_F(WatchdogTest, AnOverrunIsAVerdictBeforeTheProcessEnds) {
  const auto slot = MakeSlot();
  slot->Enter(Offset(5), 2, absl::Seconds(1), stage_);
  clock_.Advance(absl::Seconds(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  ASSERT_EQ(Verdicts(), 1u);
  const Message message = *bus_->GetMessage(key_.verdict_stream(), 1);
  const auto header = ParseMessageHeader(message.header);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->kind, FrameKind::kVerdict);
  EXPECT_EQ(header->writer, key_.writer());
  EXPECT_EQ(header->epoch, Epoch(3));
  const auto verdict = ParseVerdicts(message.payload);
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->front().offset, Offset(5));
  EXPECT_EQ(verdict->front().record, 2u);
  EXPECT_EQ(verdict->front().stage, stage_);
  // The process would be gone by now; that call is not judged again.
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
}

TEST_F(WatchdogTest, AVerdictBehindALaterOwnersIsRefusedAndTheProcessEndsAllTheSame) {
  const auto slot = MakeSlot();
  AppendRequest later;
  const std::string subject = key_.verdict_subject();
  const std::string mark =
      FormatMessageHeader({FrameKind::kEpoch, key_.uid, key_.writer(), Epoch(4), {}, {}, 0});
  later.subject = subject;
  later.header = mark;
  ASSERT_TRUE(bus_->AppendAndWait(later).ok());
  slot->Enter(Offset(5), 0, absl::Seconds(1), stage_);
  clock_.Advance(absl::Seconds(2));
  watchdog_.Check();
  EXPECT_EQ(Verdicts(), 1u);
  EXPECT_EQ(ends_, 1);
}

TEST_F(WatchdogTest, AVerdictFindsItsPlaceBehindOnesThatItsPartitionWroteMeanwhile) {
  const auto slot = MakeSlot();
  const Verdict answer{Offset(4), 0, "an answer", "ask", Verdict::Outcome::kAnswered};
  LogTail tail{WriterCursors(key_.uid), 0};
  size_t written = 0;
  ASSERT_TRUE(AppendVerdicts(*bus_, clock_, key_, Epoch(3), {answer}, &tail, &written).ok());
  slot->Enter(Offset(5), 0, absl::Seconds(1), stage_);
  clock_.Advance(absl::Seconds(2));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  ASSERT_EQ(Verdicts(), 2u);
  EXPECT_EQ(ParseVerdicts(bus_->GetMessage(key_.verdict_stream(), 2)->payload)->front().offset, Offset(5));
}

TEST_F(WatchdogTest, AVerdictWhoseAckIsLostStandsOnce) {
  const auto slot = MakeSlot();
  bus_->LoseNextControlAnswer();
  slot->Enter(Offset(5), 0, absl::Seconds(1), stage_);
  clock_.Advance(absl::Seconds(2));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(Verdicts(), 1u);
}

TEST_F(WatchdogTest, ARecordWhoseOutcomeIsInTheResultsAlreadyIsNotTimed) {
  low_mark_ = Mark{6, 0};
  const auto slot = MakeSlot();
  slot->Enter(Offset(5), 0, absl::Seconds(1), stage_);
  clock_.Advance(absl::Hours(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 0);
  slot->Leave();
  slot->Enter(Offset(6), 0, absl::Seconds(1), stage_);
  clock_.Advance(absl::Seconds(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
}

TEST_F(WatchdogTest, ACrashIsAVerdictThatCountsAsALoss) {
  const auto slot = MakeSlot();
  slot->Enter(Offset(5), 2, absl::Seconds(1), stage_);
  slot->Crash(SIGSEGV);
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  ASSERT_EQ(Verdicts(), 1u);
  const auto verdict = ParseVerdicts(bus_->GetMessage(key_.verdict_stream(), 1)->payload);
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->front().offset, Offset(5));
  EXPECT_EQ(verdict->front().record, 2u);
  EXPECT_EQ(verdict->front().stage, stage_);
  EXPECT_EQ(verdict->front().reason, "its plugin crashed with SIGSEGV");
  EXPECT_EQ(verdict->front().outcome, Verdict::Outcome::kLost);
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
}

TEST_F(WatchdogTest, ACrashOfARecordWhoseOutcomeIsInTheResultsAlreadyIsNoVerdict) {
  low_mark_ = Mark{6, 0};
  const auto slot = MakeSlot();
  slot->Enter(Offset(5), 0, absl::Seconds(1), stage_);
  slot->Crash(SIGABRT);
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(Verdicts(), 0u);
}

TEST_F(WatchdogTest, ASlotThatIsGoneIsNotWatched) {
  auto slot = MakeSlot();
  slot->Enter(Offset(5), 0, absl::Seconds(1), stage_);
  slot.reset();
  clock_.Advance(absl::Hours(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 0);
}

TEST_F(WatchdogTest, ACallInAPoolThatOverrunsIsChargedToItsPartition) {
  const auto slot = MakeSlot();
  Watchdog::PoolSlot thread(watchdog_, "score", absl::Seconds(1));
  thread.Enter({kInstance, {}, {}, Offset(5), 2});
  thread.Leave();
  clock_.Advance(absl::Seconds(2));
  watchdog_.Check();
  EXPECT_EQ(ends_, 0);
  thread.Enter({kInstance, {}, {}, Offset(6), 3});
  clock_.Advance(absl::Seconds(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  ASSERT_EQ(Verdicts(), 1u);
  const auto verdict = ParseVerdicts(bus_->GetMessage(key_.verdict_stream(), 1)->payload);
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->front().offset, Offset(6));
  EXPECT_EQ(verdict->front().record, 3u);
  EXPECT_EQ(verdict->front().stage, "score");
}

TEST_F(WatchdogTest, ACallInAPoolWhoseOutcomeIsOutMayTakeItsTime) {
  low_mark_ = {6, 0};
  const auto slot = MakeSlot();
  Watchdog::PoolSlot thread(watchdog_, "score", absl::Seconds(1));
  thread.Enter({kInstance, {}, {}, Offset(5), 2});
  clock_.Advance(absl::Hours(1));
  watchdog_.Check();
  thread.Leave();
  EXPECT_EQ(ends_, 0);
}

TEST_F(WatchdogTest, ACallInAPoolOfARecordThatIsAppliedWithoutItIsNotCharged) {
  const auto slot = MakeSlot();
  Watchdog::PoolSlot thread(watchdog_, "score", absl::Seconds(1));
  thread.Enter({kInstance, {}, {}, Offset(5), 2});
  clock_.Advance(absl::Seconds(2));
  slot->SetProgress(/*applied=*/Offset(5), /*committed=*/Offset(4));
  watchdog_.Check();
  EXPECT_EQ(ends_, 0) << "an heir would run the record again";
  slot->SetProgress(Offset(7), Offset(5));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1) << "its thread is held up";
  EXPECT_EQ(Verdicts(), 0u);
}

TEST_F(WatchdogTest, ACallInAPoolThatHangsForAPartitionThatIsGoneEndsTheProcessUncharged) {
  Watchdog::PoolSlot thread(watchdog_, "score", absl::Seconds(1));
  thread.Enter({kInstance, {}, {}, Offset(5), 2});
  clock_.Advance(absl::Seconds(1));
  watchdog_.Check();
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(Verdicts(), 0u);
}

}  // namespace
}  // namespace millrace
