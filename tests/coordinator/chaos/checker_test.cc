// Each rule over a small history made by hand: kept as it is, and broken by the one thing that it is there
// for.
#include "coordinator/chaos/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/chaos/oracle.h"
#include "coordinator/chaos/report.h"

namespace millrace::chaos {
namespace {

// A key of the only partition; its records stand in frames of two, from offset 2 on.
constexpr int kRecords = 6;

Output OutputOf(uint64_t offset, uint64_t index, uint64_t seq) {
  Output output{offset, index, "a", {}};
  for (uint64_t i = 1; i <= seq; ++i) Record(i, LedgerKind::kLua, &output.value);
  return output;
}

StateSeen StateAt(uint64_t offset, uint64_t seq) {
  StateSeen state;
  state.when = "after fault 1";
  state.offset = offset;
  state.rows = {{"a", OutputOf(0, 0, seq).value}};
  return state;
}

ResultMessage MessageAt(uint64_t sequence, char kind, uint64_t epoch, PlainMark prev, PlainMark upto,
                        Taken taken = Taken::kTaken) {
  return {sequence, kind, epoch, prev, upto, sequence - 1, taken};
}

// One owner after the other: the second took over behind frame 2, while a message of the first was on its
// way.
History GoodHistory() {
  History history;
  LedgerHistory ledger;
  ledger.kind = LedgerKind::kLua;
  ledger.ended = "completed";
  PartitionHistory partition;
  for (uint64_t seq = 1; seq <= kRecords; ++seq) {
    const uint64_t offset = 2 + (seq - 1) / 2, index = (seq - 1) % 2;
    ledger.input.push_back({"a", seq});
    partition.log.push_back({offset, "a", seq});
    partition.outputs.push_back(OutputOf(offset, index, seq));
  }
  partition.messages = {
      MessageAt(1, 'e', 1, {0, 0}, {0, 0}, Taken::kDuplicate), MessageAt(2, 'r', 1, {0, 0}, {3, 0}),
      MessageAt(3, 'e', 2, {3, 0}, {3, 0}, Taken::kDuplicate),
      MessageAt(4, 'r', 1, {3, 0}, {5, 0}, Taken::kStale), MessageAt(5, 'r', 2, {3, 0}, {5, 0})};
  partition.states = {StateAt(3, 4), StateAt(9, 6)};
  partition.states.back().at_end = true;
  partition.owners = {{"worker-1", "aa", 71, 1, 2, 2, 2},
                      {"worker-2", "bb", 72, 2, 4, 2, 5},
                      {"worker-2", "bb", 72, 2, 9, 4, 5}};
  ledger.partitions = {partition};
  history.ledgers = {ledger};
  history.entries = 1;
  history.recovery_bound = absl::Seconds(10);
  FaultOutcome fault;
  fault.plan.number = 1;
  fault.effect = "died with 1 partition";
  fault.recovered = absl::Seconds(2);
  history.faults = {fault};
  return history;
}

struct Violation {
  std::string what;
  int rule;
  void (*break_it)(History&);
};

PartitionHistory& Only(History& history) { return history.ledgers[0].partitions[0]; }

const std::vector<Violation>& Violations() {
  static const auto& violations = *new std::vector<Violation>{
      {"an output missing at the end", 1, [](History& h) { Only(h).outputs.pop_back(); }},
      {"a record that overran is no dead letter", 1,
       [](History& h) {
         h.ledgers[0].input.push_back({"a", 0});
       }},
      {"an output too many", 2, [](History& h) { Only(h).outputs.push_back(OutputOf(5, 0, 7)); }},
      {"a key of no input", 2, [](History& h) { Only(h).outputs[0].key = "b"; }},
      {"a record that can be handled is a dead letter", 2,
       [](History& h) {
         h.ledgers[0].dead_letters.push_back({"0.0.2.0", "a", 1});
       }},
      {"a message that is no frame", 2,
       [](History& h) { h.ledgers[0].unreadable.push_back("stream, message 3"); }},
      {"a label twice", 3, [](History& h) { Only(h).outputs[3].index = 0; }},
      {"a label of no record", 3, [](History& h) { Only(h).outputs.back().index = 7; }},
      {"a label missing", 3, [](History& h) { Only(h).outputs.erase(Only(h).outputs.begin()); }},
      {"two records swapped in the log", 4,
       [](History& h) { std::swap(Only(h).log[0].seq, Only(h).log[1].seq); }},
      {"a record twice in the log", 4,
       [](History& h) {
         Only(h).log.push_back({5, "a", 6});
       }},
      {"two outputs swapped", 4, [](History& h) { std::swap(Only(h).outputs[2], Only(h).outputs[3]); }},
      {"a record counted twice", 4,
       [](History& h) { Only(h).outputs.back().value = OutputOf(0, 0, 7).value; }},
      {"the chain of another order", 4, [](History& h) { *Only(h).outputs.back().value.chain += 1; }},
      {"a gap between two messages", 5,
       [](History& h) {
         Only(h).messages.back().prev = {4, 0};
       }},
      {"two messages that overlap", 5,
       [](History& h) {
         Only(h).messages.back().prev = {2, 0};
       }},
      {"a new owner that begins elsewhere", 5,
       [](History& h) {
         Only(h).messages[2].prev = {2, 0};
       }},
      {"an owner's offset falls", 5, [](History& h) { Only(h).owners.back().offset = 3; }},
      {"committed beyond what was applied", 5, [](History& h) { Only(h).owners[0].committed = 3; }},
      {"an epoch marked twice", 6, [](History& h) { Only(h).messages[2].epoch = 1; }},
      {"a message where nobody expected it", 6,
       [](History& h) { Only(h).messages.back().expected_last = 3; }},
      {"a message that was put anywhere", 6,
       [](History& h) { Only(h).messages.back().expected_last.reset(); }},
      {"an older owner's message counts", 6, [](History& h) { Only(h).messages[3].taken = Taken::kTaken; }},
      {"two owners of one epoch", 6, [](History& h) { Only(h).owners[1].epoch = 1; }},
      {"a key of the past at the end", 7,
       [](History& h) { Only(h).states.back().rows = StateAt(9, 5).rows; }},
      {"a key missing at the end", 7, [](History& h) { Only(h).states.back().rows.clear(); }},
      {"nobody to ask at the end", 7, [](History& h) { Only(h).states.pop_back(); }},
      {"a state ahead of its offset", 8, [](History& h) { Only(h).states[0] = StateAt(3, 5); }},
      {"a state behind its offset", 8, [](History& h) { Only(h).states[0] = StateAt(3, 3); }},
      {"committed before its output was out", 8,
       [](History& h) { Only(h).owners[0] = {"w", "aa", 71, 1, 3, 3, 2}; }},
      {"what waited never came out", 9, [](History& h) { h.faults[0].recovered.reset(); }},
      {"what waited came out late", 9, [](History& h) { h.faults[0].recovered = absl::Seconds(11); }},
      {"the job has not ended", 9, [](History& h) { h.ledgers[0].ended.clear(); }},
      {"the job has failed", 9, [](History& h) { h.ledgers[0].ended = "failed"; }},
      {"the fault had no effect", 10, [](History& h) { h.faults[0].effect.clear(); }},
      {"the fault never came", 10, [](History& h) { h.faults.clear(); }},
  };
  return violations;
}

const RuleResult& RuleOf(const Verdict& verdict, int number) {
  return verdict.rules[static_cast<size_t>(number - 1)];
}

TEST(ChaosChecker, KeepsEveryRuleInAGoodHistory) {
  const Verdict verdict = Check(GoodHistory());
  ASSERT_EQ(verdict.rules.size(), 10u);
  for (const RuleResult& rule : verdict.rules) {
    EXPECT_TRUE(rule.kept()) << rule.rule << ": " << (rule.first.empty() ? "" : rule.first[0]);
    EXPECT_GT(rule.checked, 0u) << rule.rule;
  }
  EXPECT_TRUE(verdict.good());
}

TEST(ChaosChecker, SeesEachViolation) {
  for (const Violation& violation : Violations()) {
    History history = GoodHistory();
    violation.break_it(history);
    const Verdict verdict = Check(history);
    EXPECT_FALSE(RuleOf(verdict, violation.rule).kept()) << violation.what;
    EXPECT_FALSE(RuleOf(verdict, violation.rule).first.empty()) << violation.what;
    EXPECT_FALSE(verdict.good()) << violation.what;
  }
}

TEST(ChaosChecker, APartitionThatStopsLoudlyMayBeIncompleteButNotWrong) {
  History history = GoodHistory();
  Only(history).stops_loudly = true;
  Only(history).log.clear();
  Only(history).states.clear();
  Only(history).outputs.resize(3);
  history.ledgers[0].ended.clear();
  EXPECT_TRUE(Check(history).good());
  Only(history).outputs[2] = Only(history).outputs[1];
  EXPECT_FALSE(Check(history).good());
}

// Appends of the old owner between two of the new one's: 5 was refused, 6 landed, all of it is sent again.
TEST(ChaosChecker, WhatReadersDropMayStandAnywhere) {
  History history = GoodHistory();
  auto& messages = Only(history).messages;
  messages.back() = MessageAt(5, 'r', 2, {4, 0}, {5, 0}, Taken::kGap);
  messages.push_back(MessageAt(6, 'r', 2, {3, 0}, {4, 0}));
  messages.push_back(MessageAt(7, 'r', 2, {4, 0}, {5, 0}));
  messages.push_back(MessageAt(8, 'r', 2, {4, 0}, {5, 0}, Taken::kDuplicate));
  for (OwnerSeen& owner : Only(history).owners)
    owner.result_sequence = std::max<uint64_t>(owner.result_sequence, 7);
  EXPECT_TRUE(Check(history).good());
}

TEST(ChaosChecker, ARecordThatOverrunsHasADeadLetterAndNoLabel) {
  History history = GoodHistory();
  history.ledgers[0].input.push_back({"a", 0});
  Only(history).log.insert(Only(history).log.begin() + 1, {2, "a", 0});
  history.ledgers[0].dead_letters = {{"0.0.2.1", "a", 0}};
  EXPECT_TRUE(Check(history).good());
}

TEST(ChaosChecker, AFaultWithoutEffectIsNotCounted) {
  History history = GoodHistory();
  for (int i = 0; i < 2; ++i) history.faults.push_back(history.faults[0]);
  history.faults[1].effect.clear();
  history.faults[1].recovered.reset();
  const Verdict verdict = Check(history);
  EXPECT_TRUE(verdict.good());
  EXPECT_EQ(RuleOf(verdict, 10).checked, 2u);
  history.faults[2].effect.clear();
  EXPECT_FALSE(Check(history).good()) << "most of them had none";
}

TEST(ChaosReport, CountsWhatTheVerdictRestsOn) {
  const Coverage cover = Cover(GoodHistory());
  EXPECT_EQ(cover.records, static_cast<uint64_t>(kRecords));
  EXPECT_EQ(cover.labels, static_cast<uint64_t>(kRecords));
  EXPECT_EQ(cover.keys, 1u);
  EXPECT_EQ(cover.epochs, 2u);
  EXPECT_EQ(cover.stale_messages, 1u);
  EXPECT_EQ(cover.kills.at("at any time"), 1);
  EXPECT_EQ(Percentile(cover.recoveries, 0.99), absl::Seconds(2));
}

TEST(ChaosReport, AFaultWithoutEffectIsSaid) {
  FaultOutcome outcome;
  outcome.plan.number = 3;
  outcome.note = "it owned no partition";
  EXPECT_THAT(TimelineLine(outcome), ::testing::HasSubstr("no effect, not counted: it owned no partition"));
}

TEST(ChaosReport, TheDocumentSaysTheSameAsTheText) {
  const History history = GoodHistory();
  const Verdict verdict = Check(history);
  const RunReport run{"kills", 7, "", ""};
  EXPECT_THAT(ToText(run, history, verdict), ::testing::HasSubstr("VERDICT: good — scenario kills, seed 7"));
  const auto json = ToJson(run, history, verdict);
  EXPECT_EQ(json["verdict"], "good");
  EXPECT_EQ(json["rules"].size(), 10u);
  EXPECT_EQ(json["timeline"][0]["recovered_ms"], 2000);
  EXPECT_EQ(json["covered"]["labels"], kRecords);
}

}  // namespace
}  // namespace millrace::chaos
