#include "coordinator/chaos/ledger.h"

#include <gtest/gtest.h>

#include <map>

#include "common/job/code_fit.h"
#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "coordinator/chaos/oracle.h"

namespace millrace::chaos {
namespace {

LoadSpec SmallLoad() {
  LoadSpec load;
  load.rate = 100;
  load.duration = absl::Seconds(10);
  load.keys = 20;
  return load;
}

TEST(ChaosLedger, EveryKeyIsNumberedWithoutAGap) {
  std::map<std::string, uint64_t> last;
  const auto input = MakeInput(SmallLoad(), 7, {});
  ASSERT_EQ(input.size(), 1000u);
  for (const LedgerRecord& record : input) EXPECT_EQ(record.seq, ++last[record.key]);
  EXPECT_EQ(last.size(), 20u);
  EXPECT_EQ(MakeInput(SmallLoad(), 7, {}), input);
  EXPECT_NE(MakeInput(SmallLoad(), 8, {}), input);
}

TEST(ChaosLedger, AHotKeyHasItsShare) {
  LoadSpec load = SmallLoad();
  load.hot = 0.9;
  size_t hot = 0;
  for (const LedgerRecord& record : MakeInput(load, 7, {})) hot += record.key == "key-0" ? 1 : 0;
  EXPECT_GT(hot, 870u);
}

TEST(ChaosLedger, RecordsThatOverrunStandBetweenTheOthersAndAreNotCounted) {
  const auto input = MakeInput(SmallLoad(), 7, {0, 500});
  ASSERT_EQ(input.size(), 1002u);
  EXPECT_EQ(input[0].seq, 0u);
  EXPECT_EQ(input[501].seq, 0u);
  EXPECT_EQ(InputLine(input[0]).find("\"loop\":true}\n") != std::string::npos, true);
  auto without = input;
  std::erase_if(without, [](const LedgerRecord& record) { return record.seq == 0; });
  EXPECT_EQ(without, MakeInput(SmallLoad(), 7, {}));
}

TEST(ChaosLedger, TheJobsParse) {
  for (const LedgerKind kind : {LedgerKind::kLua, LedgerKind::kNative, LedgerKind::kFront}) {
    const auto spec = ParseJob("job.yaml", JobText(kind, "ledger", SmallLoad()));
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->partitions, 8u);
    EXPECT_EQ(spec->commit_interval, absl::Milliseconds(50));
    EXPECT_EQ(SegmentsOf(*spec).size(), kind == LedgerKind::kFront ? 2u : 1u);
  }
}

TEST(ChaosOracle, LossDoubleAndSwapChangeTheChain) {
  const auto chain = [](const std::vector<uint64_t>& seqs) {
    LedgerEntry entry;
    for (const uint64_t seq : seqs) Record(seq, LedgerKind::kLua, &entry);
    return entry;
  };
  EXPECT_EQ(chain({1, 2, 3}), (LedgerEntry{3, 6, 3, (1 * 31 + 2) * 31 + 3}));
  EXPECT_NE(chain({1, 3}), chain({1, 2, 3}));
  EXPECT_NE(chain({1, 2, 2, 3}), chain({1, 2, 3}));
  EXPECT_NE(chain({2, 1, 3}).chain, chain({1, 2, 3}).chain);
}

TEST(ChaosOracle, LabelsAreNumberedWithinTheirFrame) {
  const std::vector<LogRecord> log = {{2, "a", 1}, {2, "b", 0}, {2, "b", 1}, {4, "a", 2}};
  EXPECT_EQ(LabelsOf(log), (std::vector<PlainMark>{{2, 0}, {2, 1}, {4, 0}}));
  EXPECT_EQ(LedgerAt(log, 2, LedgerKind::kNative).at("a"), (LedgerEntry{1, 1, 1, {}}));
  EXPECT_EQ(LedgerAt(log, 4, LedgerKind::kNative).at("a"), (LedgerEntry{2, 3, 2, {}}));
}

TEST(ChaosLedger, TheNextCodeIsOtherCodeOfTheSameJob) {
  for (const LedgerKind kind : {LedgerKind::kLua, LedgerKind::kFront}) {
    const auto spec = ParseJob("job.yaml", JobText(kind, "ledger", SmallLoad()));
    const auto next = ParseJob("job.yaml", WithNextCode(JobText(kind, "ledger", SmallLoad())));
    ASSERT_TRUE(spec.ok() && next.ok());
    EXPECT_NE(spec->text, next->text);
    EXPECT_TRUE(CheckCodeFits(*spec, *next).ok());
  }
  const std::string third = WithNextCode(WithNextCode(JobText(LedgerKind::kLua, "ledger", SmallLoad())));
  EXPECT_NE(third.find("-- release 3\n"), std::string::npos);
}

}  // namespace
}  // namespace millrace::chaos
