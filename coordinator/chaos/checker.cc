#include "coordinator/chaos/checker.h"

#include <algorithm>

#include "common/strings.h"
#include "coordinator/chaos/oracle.h"

namespace millrace::chaos {

void RuleResult::Violate(std::string what) {
  ++violations;
  if (first.size() < kMaxKept) first.push_back(std::move(what));
}

bool Verdict::good() const {
  return std::all_of(rules.begin(), rules.end(), [](const RuleResult& rule) { return rule.kept(); });
}

RuleResult ItGoesOn(const History& history) {
  RuleResult result{9, "after every fault it goes on within the bound", "recoveries", 0, 0, {}};
  for (const FaultOutcome& fault : history.faults) {
    if (fault.effect.empty() || EndsInLoudStop(fault.plan.kind)) continue;
    ++result.checked;
    const std::string what = StrCat("fault ", fault.plan.number, " (", Describe(fault.plan), "): ");
    if (!fault.recovered.has_value()) {
      result.Violate(what + "what waited never came out");
    } else if (*fault.recovered > history.recovery_bound) {
      result.Violate(StrCat(what, "what waited came out after ", absl::ToDoubleSeconds(*fault.recovered),
                            " s, the bound is ", absl::ToDoubleSeconds(history.recovery_bound), " s"));
    }
  }
  for (const std::string& stuck : history.stuck) result.Violate(stuck);
  for (const LedgerHistory& ledger : history.ledgers) {
    const bool may_stop =
        std::any_of(ledger.partitions.begin(), ledger.partitions.end(),
                    [](const PartitionHistory& partition) { return partition.stops_loudly; });
    if (ledger.ended == "completed" || (may_stop && ledger.ended.empty())) continue;
    result.Violate(
        StrCat(LedgerName(ledger.kind), " has ", ledger.ended.empty() ? "not ended" : ledger.ended));
  }
  return result;
}

RuleResult NotVacuous(const History& history) {
  RuleResult result{10, "the faults asked for did happen, while records flowed", "faults", 0, 0, {}};
  std::vector<int> asked(static_cast<size_t>(history.entries)), seen(static_cast<size_t>(history.entries));
  std::vector<const FaultOutcome*> example(static_cast<size_t>(history.entries));
  for (const FaultOutcome& fault : history.faults) {
    const auto entry = static_cast<size_t>(fault.plan.entry);
    ++asked[entry];
    example[entry] = &fault;
    if (fault.effect.empty()) continue;
    ++seen[entry];
    ++result.checked;
  }
  for (size_t entry = 0; entry < asked.size(); ++entry) {
    if (asked[entry] == 0) {
      result.Violate(StrCat("fault ", entry + 1, " of the scenario never came"));
    } else if (2 * seen[entry] < asked[entry]) {
      result.Violate(StrCat(KindName(example[entry]->plan.kind), ": ", seen[entry], " of ", asked[entry],
                            " had an effect — ", example[entry]->note));
    }
  }
  for (const LedgerHistory& ledger : history.ledgers) {
    if (ledger.input.empty()) result.Violate(StrCat(LedgerName(ledger.kind), ": no record flowed"));
  }
  return result;
}

Verdict Check(const History& history) {
  return {{EveryRecordHasItsEffect(history), NothingWithoutAnInput(history), LabelsOnceAndAll(history),
           SequencesWithoutGapOrSwap(history), OffsetsAndEpochsRise(history), NoEffectOfAnOlderEpoch(history),
           StateIsTheOracles(history), StateOffsetAndOutputsBelongTogether(history), ItGoesOn(history),
           NotVacuous(history)}};
}

}  // namespace millrace::chaos
