// Rules 1 to 4: records, outputs, labels, order.
#include <algorithm>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "common/strings.h"
#include "coordinator/chaos/checker.h"
#include "coordinator/chaos/oracle.h"

namespace millrace::chaos {
namespace {

using Counts = absl::flat_hash_map<std::string, uint64_t>;

std::string Place(const LedgerHistory& ledger, size_t partition) {
  return StrCat(LedgerName(ledger.kind), ", partition ", partition, ": ");
}

Counts CountInput(const LedgerHistory& ledger) {
  Counts counts;
  for (const LedgerRecord& record : ledger.input) counts[record.key] += record.seq > 0 ? 1 : 0;
  return counts;
}

uint64_t CountOverruns(const LedgerHistory& ledger) {
  return static_cast<uint64_t>(std::count_if(ledger.input.begin(), ledger.input.end(),
                                             [](const LedgerRecord& record) { return record.seq == 0; }));
}

Counts CountOutputs(const LedgerHistory& ledger) {
  Counts counts;
  for (const PartitionHistory& partition : ledger.partitions) {
    for (const Output& output : partition.outputs) ++counts[output.key];
  }
  return counts;
}

bool MayBeIncomplete(const LedgerHistory& ledger, const std::string& key) {
  const auto partitions = static_cast<uint32_t>(ledger.partitions.size());
  return ledger.partitions[PlainPartition(key, partitions)].stops_loudly;
}

void CheckLog(const LedgerHistory& ledger, size_t p, RuleResult* result) {
  Counts logged;
  for (const LogRecord& record : ledger.partitions[p].log) {
    if (record.seq == 0) continue;
    ++result->checked;
    const std::string& numbered = record.from.empty() ? record.key : record.from;
    if (record.seq == ++logged[numbered]) continue;
    result->Violate(StrCat(Place(ledger, p), numbered, " number ", record.seq, " stands at ",
                           logged[numbered], " in the log"));
  }
}

void ViolateValue(const LedgerHistory& ledger, size_t p, const Output& output, const LedgerEntry& truth,
                  RuleResult* result) {
  result->Violate(StrCat(Place(ledger, p), output.key, " says ", ToText(output.value), " where the truth is ",
                         ToText(truth)));
}

// Each output against what the records of the log up to its own come to, and where it stands. A label of no
// record is rule 3's.
void CheckValues(const LedgerHistory& ledger, size_t p, RuleResult* result) {
  const PartitionHistory& partition = ledger.partitions[p];
  const std::vector<PlainMark> labels = LabelsOf(partition.log);
  const std::vector<LedgerEntry> values = ValuesOf(partition.log, ledger.kind);
  PlainMark last{0, 0};
  for (const Output& output : partition.outputs) {
    ++result->checked;
    const PlainMark label(output.offset, output.index);
    if (label < last) {
      result->Violate(StrCat(Place(ledger, p), output.key, " says ", ToText(output.value), " too late"));
    }
    last = std::max(last, label);
    const auto at = std::lower_bound(labels.begin(), labels.end(), label);
    if (at == labels.end() || *at != label) continue;
    const LedgerEntry& truth = values[static_cast<size_t>(at - labels.begin())];
    if (output.value != truth) ViolateValue(ledger, p, output, truth, result);
  }
}

// The same of a partition whose log is gone: the next of a key's is that of its next record.
void CheckValuesAlone(const LedgerHistory& ledger, size_t p, RuleResult* result) {
  absl::flat_hash_map<std::string, LedgerEntry> truths;
  for (const Output& output : ledger.partitions[p].outputs) {
    ++result->checked;
    LedgerEntry& truth = truths[output.key];
    Record(truth.count + 1, ledger.kind, &truth);
    if (output.value != truth) ViolateValue(ledger, p, output, truth, result);
  }
}

}  // namespace

RuleResult EveryRecordHasItsEffect(const History& history) {
  RuleResult result{1, "no input record without its effect", "records", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    const Counts outputs = CountOutputs(ledger);
    result.checked += ledger.input.size();
    for (const auto& [key, count] : CountInput(ledger)) {
      const auto found = outputs.find(key);
      const uint64_t seen = found == outputs.end() ? 0 : found->second;
      if (seen < count && !MayBeIncomplete(ledger, key)) {
        result.Violate(StrCat(LedgerName(ledger.kind), ": ", key, " has ", seen, " outputs of ", count));
      }
    }
    const uint64_t overruns = CountOverruns(ledger);
    if (ledger.dead_letters.size() < overruns) {
      result.Violate(StrCat(LedgerName(ledger.kind), ": ", overruns - ledger.dead_letters.size(),
                            " records that overrun are no dead letters"));
    }
  }
  return result;
}

RuleResult NothingWithoutAnInput(const History& history) {
  RuleResult result{2, "nothing that no input explains", "outputs", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    const Counts input = CountInput(ledger);
    for (const auto& [key, count] : CountOutputs(ledger)) {
      result.checked += count;
      const auto found = input.find(key);
      const uint64_t known = found == input.end() ? 0 : found->second;
      if (count > known) {
        result.Violate(
            StrCat(LedgerName(ledger.kind), ": ", key, " has ", count, " outputs of ", known, " records"));
      }
    }
    for (const DeadLetterSeen& letter : ledger.dead_letters) {
      ++result.checked;
      if (letter.seq > 0) {
        result.Violate(StrCat(LedgerName(ledger.kind), ": dead letter ", letter.id, ": ", letter.key,
                              " number ", letter.seq, " can be handled"));
      }
    }
    for (const std::string& unreadable : ledger.unreadable) result.Violate(unreadable);
  }
  return result;
}

RuleResult LabelsOnceAndAll(const History& history) {
  RuleResult result{3, "no label twice, none missing", "labels", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    for (size_t p = 0; p < ledger.partitions.size(); ++p) {
      const PartitionHistory& partition = ledger.partitions[p];
      std::set<PlainMark> missing;
      if (!partition.stops_loudly) {
        const std::vector<PlainMark> labels = LabelsOf(partition.log);
        missing.insert(labels.begin(), labels.end());
      }
      std::optional<PlainMark> last;
      for (const Output& output : partition.outputs) {
        const PlainMark label(output.offset, output.index);
        ++result.checked;
        if (last.has_value() && label <= *last) {
          result.Violate(StrCat(Place(ledger, p), "label ", label.first, ".", label.second, " after ",
                                last->first, ".", last->second));
        } else if (!partition.stops_loudly && missing.erase(label) == 0) {
          result.Violate(StrCat(Place(ledger, p), "label ", label.first, ".", label.second, " of no record"));
        }
        last = label;
      }
      for (const PlainMark& label : missing) {
        result.Violate(StrCat(Place(ledger, p), "label ", label.first, ".", label.second, " is missing"));
      }
    }
  }
  return result;
}

RuleResult SequencesWithoutGapOrSwap(const History& history) {
  RuleResult result{4, "per key, no gap and no swap at any stage", "records and outputs", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    for (size_t p = 0; p < ledger.partitions.size(); ++p) {
      const PartitionHistory& partition = ledger.partitions[p];
      if (partition.stops_loudly) {
        CheckValuesAlone(ledger, p, &result);
      } else {
        CheckLog(ledger, p, &result);
        CheckValues(ledger, p, &result);
      }
    }
  }
  return result;
}

}  // namespace millrace::chaos
