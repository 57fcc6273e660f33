#include "worker/partition/verdict_append.h"

#include <gtest/gtest.h>

#include "tests/support/forwarding_bus.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

// Behind its next append, of which no answer comes, the broker is away until it is told to come back.
class BrokerGoesBehindAnAppend final : public ForwardingBus {
 public:
  explicit BrokerGoesBehindAnAppend(MemoryBus& bus) : ForwardingBus(bus), memory_(bus) {}

  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) override {
    if (goes_) memory_.LoseNextControlAnswer();
    absl::StatusOr<uint64_t> appended = memory_.AppendAndWait(request);
    if (goes_) memory_.FailControl(absl::UnavailableError("the broker is away"));
    return appended;
  }
  void ComeBack() {
    goes_ = false;
    memory_.FailControl(absl::OkStatus());
  }

 private:
  MemoryBus& memory_;
  bool goes_ = true;
};

class VerdictAppendTest : public testing::Test {
 protected:
  VerdictAppendTest() {
    StreamConfig config;
    config.name = key_.verdict_stream();
    config.subjects = {key_.verdict_subject()};
    EXPECT_TRUE(memory_->CreateStream(config).ok());
  }
  static Verdict Answer(uint32_t record) {
    Verdict verdict;
    verdict.offset = Offset(1);
    verdict.record = record;
    verdict.reason = "an answer";
    verdict.stage = "ask";
    verdict.outcome = Verdict::Outcome::kAnswered;
    verdict.request = "0123456789abcdef";
    return verdict;
  }
  static Verdict Failure(uint32_t record) {
    Verdict verdict = Answer(record);
    verdict.outcome = Verdict::Outcome::kFailed;
    verdict.request.clear();
    return verdict;
  }
  // How many of the order are said to be written.
  size_t Append(const std::vector<Verdict>& order) {
    size_t written = 0;
    AppendVerdicts(bus_, clock_, key_, Epoch(1), order, &tail_, &written).IgnoreError();
    return written;
  }
  // The records of the verdicts in the stream, message by message.
  std::vector<std::vector<uint32_t>> Stored() {
    std::vector<std::vector<uint32_t>> messages;
    for (uint64_t sequence = 1;; ++sequence) {
      const auto message = memory_->GetMessage(key_.verdict_stream(), sequence);
      if (!message.ok()) return messages;
      const auto verdicts = ParseVerdicts(message->payload);
      EXPECT_TRUE(verdicts.ok());
      auto& records = messages.emplace_back();
      for (const Verdict& verdict : *verdicts) records.push_back(verdict.record);
    }
  }

  ManualClock clock_;
  MemoryBroker broker_{clock_};
  std::unique_ptr<MemoryBus> memory_ = broker_.Connect();
  BrokerGoesBehindAnAppend bus_{*memory_};
  const PartitionKey key_{"j", "0123456789abcdef", SegmentId(0), PartitionId(0)};
  LogTail tail_{WriterCursors(key_.uid), 0};
};

using Messages = std::vector<std::vector<uint32_t>>;

TEST_F(VerdictAppendTest, WhatCameToTheOrderSinceAnAckWasLostIsNotTakenForWritten) {
  EXPECT_EQ(Append({Answer(1)}), 0U);
  bus_.ComeBack();
  EXPECT_EQ(Append({Answer(1), Answer(2)}), 2U);
  EXPECT_EQ(Stored(), (Messages{{1}, {1, 2}}));
}

TEST_F(VerdictAppendTest, AFailureInFrontOfAnswersWhoseAckWasLostIsNotTakenForWritten) {
  EXPECT_EQ(Append({Answer(1)}), 0U);
  bus_.ComeBack();
  EXPECT_EQ(Append({Failure(7), Answer(1)}), 2U);
  EXPECT_EQ(Stored(), (Messages{{1}, {7}, {1}}));
}

TEST_F(VerdictAppendTest, AFailureWhoseAckWasLostStandsThereOnce) {
  EXPECT_EQ(Append({Failure(7)}), 0U);
  bus_.ComeBack();
  EXPECT_EQ(Append({Failure(7)}), 1U);
  EXPECT_EQ(Stored(), (Messages{{7}}));
}

}  // namespace
}  // namespace millrace
