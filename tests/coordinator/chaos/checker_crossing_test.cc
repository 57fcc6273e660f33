// The rules over the two ledgers of a job whose records cross from one segment to another: kept, and broken by
// one thing each.
#include <gtest/gtest.h>

#include "coordinator/chaos/checker.h"
#include "coordinator/chaos/oracle.h"

namespace millrace::chaos {
namespace {

constexpr char kGroup[] = "group-1";

PartitionHistory& Front(History& history) { return history.ledgers[0].partitions[0]; }
PartitionHistory& Back(History& history) { return history.ledgers[1].partitions[0]; }

// Outputs that the log's records ask for, and the state behind them.
void AnswerLog(LedgerKind kind, PartitionHistory* partition) {
  const auto labels = LabelsOf(partition->log);
  const auto values = ValuesOf(partition->log, kind);
  for (size_t i = 0; i < labels.size(); ++i) {
    partition->outputs.push_back({labels[i].first, labels[i].second, partition->log[i].key, values[i]});
  }
  StateSeen end{"at the end", true, 99, {}};
  for (const auto& [key, entry] : LedgerAt(partition->log, 99, kind)) end.rows.emplace_back(key, entry);
  partition->states = {end};
}

// Three records of one key and two of another, which arrive at their group in turns.
History GoodCrossing() {
  History history;
  history.ledgers.resize(2);
  for (LedgerHistory& ledger : history.ledgers) {
    ledger.ended = "completed";
    ledger.partitions.resize(1);
  }
  history.ledgers[0].kind = LedgerKind::kFront;
  history.ledgers[1].kind = LedgerKind::kBack;
  Front(history).log = {{2, "a", 1}, {2, "b", 1}, {3, "a", 2}, {3, "b", 2}, {4, "a", 3}};
  Back(history).log = {{2, kGroup, 1, "b"},
                       {2, kGroup, 1, "a"},
                       {3, kGroup, 2, "a"},
                       {5, kGroup, 2, "b"},
                       {5, kGroup, 3, "a"}};
  for (const LogRecord& record : Front(history).log) {
    history.ledgers[0].input.push_back({record.key, record.seq});
    history.ledgers[1].input.push_back({kGroup, record.seq});
  }
  AnswerLog(LedgerKind::kFront, &Front(history));
  AnswerLog(LedgerKind::kBack, &Back(history));
  return history;
}

bool Kept(const History& history, int rule) {
  return Check(history).rules[static_cast<size_t>(rule - 1)].kept();
}

TEST(ChaosCrossing, KeepsEveryRule) {
  for (const RuleResult& rule : Check(GoodCrossing()).rules) {
    EXPECT_TRUE(rule.kept()) << rule.rule << ": " << (rule.first.empty() ? "" : rule.first[0]);
  }
}

TEST(ChaosCrossing, SeesARecordThatDidNotCross) {
  History history = GoodCrossing();
  Front(history).outputs.pop_back();
  EXPECT_FALSE(Kept(history, 1));
  EXPECT_FALSE(Kept(history, 3));
}

TEST(ChaosCrossing, SeesARecordThatCrossedTwice) {
  History history = GoodCrossing();
  Front(history).outputs.insert(Front(history).outputs.begin(), Front(history).outputs[0]);
  EXPECT_FALSE(Kept(history, 2));
  EXPECT_FALSE(Kept(history, 3));
}

TEST(ChaosCrossing, SeesTwoRecordsOfAKeySwappedOnTheWay) {
  History history = GoodCrossing();
  std::swap(Back(history).log[1], Back(history).log[2]);
  EXPECT_FALSE(Kept(history, 4));
}

TEST(ChaosCrossing, SeesTheChainOfAnotherOrder) {
  History history = GoodCrossing();
  std::swap(Back(history).log[0], Back(history).log[2]);  // what the log says now is not what was answered
  EXPECT_FALSE(Kept(history, 4));
  EXPECT_FALSE(Kept(history, 7));
}

TEST(ChaosCrossing, SeesAResultOfAnotherKeysRecord) {
  History history = GoodCrossing();
  std::swap(Back(history).outputs[1].value, Back(history).outputs[2].value);
  EXPECT_FALSE(Kept(history, 4));
}

}  // namespace
}  // namespace millrace::chaos
