// The rules that a run must keep, each a pure function of its history.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/chaos/history.h"

namespace millrace::chaos {

struct RuleResult {
  static constexpr size_t kMaxKept = 5;

  int number = 0;
  std::string rule;
  std::string unit;      // of what was looked at: "records"
  uint64_t checked = 0;  // how many were looked at
  uint64_t violations = 0;
  std::vector<std::string> first;  // violations, at most kMaxKept

  bool kept() const { return violations == 0; }
  void Violate(std::string what);
};

RuleResult EveryRecordHasItsEffect(const History& history);
RuleResult NothingWithoutAnInput(const History& history);
RuleResult LabelsOnceAndAll(const History& history);
RuleResult SequencesWithoutGapOrSwap(const History& history);
RuleResult OffsetsAndEpochsRise(const History& history);
RuleResult NoEffectOfAnOlderEpoch(const History& history);
RuleResult StateIsTheOracles(const History& history);
RuleResult StateOffsetAndOutputsBelongTogether(const History& history);
RuleResult ItGoesOn(const History& history);
RuleResult NotVacuous(const History& history);

struct Verdict {
  std::vector<RuleResult> rules;
  bool good() const;
};
Verdict Check(const History& history);

}  // namespace millrace::chaos
