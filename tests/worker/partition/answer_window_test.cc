#include "worker/partition/answer_window.h"

#include <gtest/gtest.h>

#include "common/handler/call_request.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"
#include "worker/partition/verdict_append.h"

namespace millrace {
namespace {

class AnswerWindowTest : public testing::Test {
 protected:
  static constexpr size_t kAnswerBytes = 1000;
  static constexpr size_t kWindowBytes = 16 * kAnswerBytes;
  // One answer is larger than a part of the window, and readings add to what is there.
  static constexpr size_t kMostBytes = kWindowBytes + 6 * kAnswerBytes;

  AnswerWindowTest() {
    StreamConfig config;
    config.name = key_.verdict_stream();
    config.subjects = {key_.verdict_subject()};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  static HandlerCall CallOf(uint64_t offset) {
    HandlerCall call;
    call.place.offset = Offset(offset);
    call.packed = "request";
    return call;
  }
  // An earlier owner writes down what was answered to a call of this message.
  void Write(uint64_t offset) {
    Verdict verdict;
    verdict.offset = Offset(offset);
    verdict.stage = "ask";
    verdict.outcome = Verdict::Outcome::kAnswered;
    verdict.request = RequestDigest("request");
    verdict.reason = std::to_string(offset);
    verdict.reason.resize(kAnswerBytes, ' ');
    size_t written = 0;
    ASSERT_TRUE(AppendVerdicts(*bus_, clock_, key_, Epoch(1), {verdict}, &end_, &written).ok());
  }
  void Open() {
    window_ = std::make_unique<AnswerWindow>(
        &answers_, AnswersKept{{WriterCursors(key_.uid), 0}, kWindowBytes}, end_.last_sequence);
  }
  // What the partition's lane and the recorder do until there is nothing to read.
  void ReadWhatIsToBeRead(Offset done, std::optional<Offset> missed) {
    while (auto reading = window_->Next(done, missed, clock_.Monotonic())) {
      ++readings_;
      ASSERT_TRUE(window_->Take(ReadAnswers(*bus_, clock_, key_, *reading), clock_.Monotonic()).ok());
      EXPECT_LE(answers_.bytes(), kMostBytes);
    }
  }
  // The log is applied from its beginning: which of its messages find no answer, when it is their turn.
  std::vector<uint64_t> Unanswered(uint64_t messages) {
    std::vector<uint64_t> unanswered;
    for (uint64_t offset = 1; offset <= messages; ++offset) {
      ReadWhatIsToBeRead(Offset(offset - 1), std::nullopt);
      if (answers_.Find("ask", CallOf(offset)) == nullptr) {
        ReadWhatIsToBeRead(Offset(offset - 1), Offset(offset));
        EXPECT_FALSE(window_->MayHave(Offset(offset)));
      }
      const auto found = answers_.Find("ask", CallOf(offset));
      if (found == nullptr) {
        unanswered.push_back(offset);
      } else {
        EXPECT_EQ(std::stoull(*found), offset);
      }
      answers_.ForgetUpTo(Offset(offset));
    }
    return unanswered;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(1)};
  LogTail end_{WriterCursors(key_.uid), 0};
  RecordedAnswers answers_;
  std::unique_ptr<AnswerWindow> window_;
  int readings_ = 0;
};

TEST_F(AnswerWindowTest, FollowsALongLogWithAFewOfItsAnswersInMemory) {
  for (uint64_t offset = 1; offset <= 200; ++offset) Write(offset);
  Open();
  EXPECT_EQ(Unanswered(200), std::vector<uint64_t>());
  EXPECT_EQ(answers_.bytes(), 0u);
  EXPECT_GT(readings_, 10);
}

TEST_F(AnswerWindowTest, FindsAnAnswerThatWasWrittenFarBehindTheOthers) {
  for (uint64_t offset = 2; offset <= 100; ++offset) Write(offset);
  Write(1);
  for (uint64_t offset = 101; offset <= 150; ++offset) Write(offset);
  Open();
  EXPECT_EQ(Unanswered(150), std::vector<uint64_t>());
}

TEST_F(AnswerWindowTest, WhatNobodyAnsweredIsKnownToBeMissingOnlyWhenAllWasRead) {
  for (uint64_t offset = 1; offset <= 100; ++offset) {
    if (offset != 3 && offset != 90) Write(offset);
  }
  Open();
  EXPECT_TRUE(window_->MayHave(Offset(3)));
  EXPECT_EQ(Unanswered(101), (std::vector<uint64_t>{3, 90, 101}));
}

TEST_F(AnswerWindowTest, ABrokerThatIsAwayIsAskedAgainAfterAWhile) {
  Write(1);
  Open();
  ASSERT_TRUE(window_->Next(Offset(), std::nullopt, clock_.Monotonic()).has_value());
  EXPECT_FALSE(window_->Next(Offset(), std::nullopt, clock_.Monotonic()).has_value()) << "it is under way";
  EXPECT_TRUE(window_->Take(absl::UnavailableError("away"), clock_.Monotonic()).ok());
  EXPECT_FALSE(window_->Next(Offset(), std::nullopt, clock_.Monotonic()).has_value());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Unanswered(1), std::vector<uint64_t>());
}

TEST_F(AnswerWindowTest, AStreamThatWasRolledBackStopsThePartition) {
  Write(1);
  Open();
  ASSERT_TRUE(window_->Next(Offset(), std::nullopt, clock_.Monotonic()).has_value());
  EXPECT_TRUE(absl::IsDataLoss(window_->Take(absl::DataLossError("rolled back"), clock_.Monotonic())));
}

}  // namespace
}  // namespace millrace
