#include "coordinator/verify/recorded_answer_log.h"

#include <gtest/gtest.h>

#include "common/frame/message_header.h"
#include "common/names.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

class RecordedAnswerLogTest : public testing::Test {
 protected:
  static constexpr size_t kAnswerBytes = 1000;
  static constexpr size_t kWindowBytes = 10 * kAnswerBytes;
  static constexpr SegmentId kSegment{0};
  static constexpr PartitionId kPartition{1};

  RecordedAnswerLogTest() {
    job_.name = "j";
    job_.uid = "0123456789abcdef";
    StreamConfig config;
    config.name = VerdictStream("j", kSegment, kPartition);
    config.subjects = {VerdictSubject("j", kSegment, kPartition)};
    EXPECT_TRUE(bus_->CreateStream(config).ok());
  }
  static HandlerCall CallOf(uint64_t offset) {
    HandlerCall call;
    call.place.offset = Offset(offset);
    call.packed = "request";
    return call;
  }
  // An owner writes down what was answered to a call of this message.
  void Write(uint64_t offset) {
    Verdict verdict;
    verdict.offset = Offset(offset);
    verdict.stage = "ask";
    verdict.outcome = Verdict::Outcome::kAnswered;
    verdict.request = RequestDigest("request");
    verdict.reason = std::to_string(offset);
    verdict.reason.resize(kAnswerBytes, ' ');
    const Mark prev{written_, 0}, upto{++written_, 0};
    const std::string header = FormatMessageHeader(
        {FrameKind::kVerdict, job_.uid, OwnerWriter(kSegment, kPartition), Epoch(1), prev, upto, written_});
    const std::string subject = VerdictSubject("j", kSegment, kPartition);
    const std::string payload = EncodeVerdict(verdict);
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = payload;
    EXPECT_TRUE(bus_->AppendAndWait(request).ok());
  }
  // Which messages of a log that is replayed from its beginning have no answer.
  std::vector<uint64_t> Unanswered(uint64_t messages) {
    auto log = RecordedAnswerLog::Open(*bus_, streams_, job_, kSegment, kPartition, kWindowBytes);
    EXPECT_TRUE(log.ok()) << log.status();
    std::vector<uint64_t> unanswered;
    for (uint64_t offset = 1; offset <= messages; ++offset) {
      const auto found = (*log)->Find("ask", CallOf(offset));
      EXPECT_TRUE(found.ok()) << found.status();
      if (*found == nullptr) {
        unanswered.push_back(offset);
      } else {
        EXPECT_EQ(std::stoull(**found), offset);
      }
      (*log)->ForgetUpTo(Offset(offset));
    }
    return unanswered;
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> bus_ = broker_.Connect();
  StreamSet streams_{*bus_, clock_};
  JobRecord job_;
  uint64_t written_ = 0;
};

TEST_F(RecordedAnswerLogTest, FindsAnswersBesideTheLog) {
  for (uint64_t offset = 1; offset <= 50; ++offset) Write(offset);
  EXPECT_EQ(Unanswered(51), std::vector<uint64_t>{51});
}

TEST_F(RecordedAnswerLogTest, FindsAnAnswerThatWasWrittenFarBehindTheOthers) {
  for (uint64_t offset = 1; offset <= 50; ++offset) {
    if (offset != 3) Write(offset);
  }
  Write(3);
  for (uint64_t offset = 51; offset <= 60; ++offset) Write(offset);
  EXPECT_EQ(Unanswered(60), std::vector<uint64_t>());
}

TEST_F(RecordedAnswerLogTest, WhatNobodyAnsweredIsMissing) {
  for (uint64_t offset = 1; offset <= 50; ++offset) {
    if (offset != 3 && offset != 45) Write(offset);
  }
  EXPECT_EQ(Unanswered(50), (std::vector<uint64_t>{3, 45}));
}

}  // namespace
}  // namespace millrace
