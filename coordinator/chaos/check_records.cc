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

std::string Place(const JobHistory& job, size_t partition) {
  return StrCat(JobName(job.kind), ", partition ", partition, ": ");
}

Counts CountInput(const JobHistory& job) {
  Counts counts;
  for (const LedgerRecord& record : job.input) counts[record.key] += record.seq > 0 ? 1 : 0;
  return counts;
}

uint64_t CountOverruns(const JobHistory& job) {
  return static_cast<uint64_t>(std::count_if(job.input.begin(), job.input.end(),
                                             [](const LedgerRecord& record) { return record.seq == 0; }));
}

Counts CountOutputs(const JobHistory& job) {
  Counts counts;
  for (const PartitionHistory& partition : job.partitions) {
    for (const Output& output : partition.outputs) ++counts[output.key];
  }
  return counts;
}

bool MayBeIncomplete(const JobHistory& job, const std::string& key) {
  const auto partitions = static_cast<uint32_t>(job.partitions.size());
  return job.partitions[PlainPartition(key, partitions)].stops_loudly;
}

}  // namespace

RuleResult EveryRecordHasItsEffect(const History& history) {
  RuleResult result{1, "no input record without its effect", "records", 0, 0, {}};
  for (const JobHistory& job : history.jobs) {
    const Counts outputs = CountOutputs(job);
    result.checked += job.input.size();
    for (const auto& [key, count] : CountInput(job)) {
      const auto found = outputs.find(key);
      const uint64_t seen = found == outputs.end() ? 0 : found->second;
      if (seen < count && !MayBeIncomplete(job, key)) {
        result.Violate(StrCat(JobName(job.kind), ": ", key, " has ", seen, " outputs of ", count));
      }
    }
    const uint64_t overruns = CountOverruns(job);
    if (job.dead_letters.size() < overruns) {
      result.Violate(StrCat(JobName(job.kind), ": ", overruns - job.dead_letters.size(),
                            " records that overrun are no dead letters"));
    }
  }
  return result;
}

RuleResult NothingWithoutAnInput(const History& history) {
  RuleResult result{2, "nothing that no input explains", "outputs", 0, 0, {}};
  for (const JobHistory& job : history.jobs) {
    const Counts input = CountInput(job);
    for (const auto& [key, count] : CountOutputs(job)) {
      result.checked += count;
      const auto found = input.find(key);
      const uint64_t known = found == input.end() ? 0 : found->second;
      if (count > known) {
        result.Violate(
            StrCat(JobName(job.kind), ": ", key, " has ", count, " outputs of ", known, " records"));
      }
    }
    for (const DeadLetterSeen& letter : job.dead_letters) {
      ++result.checked;
      if (letter.seq > 0) {
        result.Violate(StrCat(JobName(job.kind), ": dead letter ", letter.id, ": ", letter.key, " number ",
                              letter.seq, " can be handled"));
      }
    }
    for (const std::string& unreadable : job.unreadable) result.Violate(unreadable);
  }
  return result;
}

RuleResult LabelsOnceAndAll(const History& history) {
  RuleResult result{3, "no label twice, none missing", "labels", 0, 0, {}};
  for (const JobHistory& job : history.jobs) {
    for (size_t p = 0; p < job.partitions.size(); ++p) {
      const PartitionHistory& partition = job.partitions[p];
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
          result.Violate(StrCat(Place(job, p), "label ", label.first, ".", label.second, " after ",
                                last->first, ".", last->second));
        } else if (!partition.stops_loudly && missing.erase(label) == 0) {
          result.Violate(StrCat(Place(job, p), "label ", label.first, ".", label.second, " of no record"));
        }
        last = label;
      }
      for (const PlainMark& label : missing) {
        result.Violate(StrCat(Place(job, p), "label ", label.first, ".", label.second, " is missing"));
      }
    }
  }
  return result;
}

RuleResult SequencesWithoutGapOrSwap(const History& history) {
  RuleResult result{4, "per key, no gap and no swap at any stage", "records and outputs", 0, 0, {}};
  for (const JobHistory& job : history.jobs) {
    for (size_t p = 0; p < job.partitions.size(); ++p) {
      const PartitionHistory& partition = job.partitions[p];
      Counts logged;
      for (const LogRecord& record : partition.log) {
        if (record.seq == 0 || partition.stops_loudly) continue;
        ++result.checked;
        if (record.seq != ++logged[record.key]) {
          result.Violate(StrCat(Place(job, p), record.key, " number ", record.seq, " stands at ",
                                logged[record.key], " in the log"));
        }
      }
      absl::flat_hash_map<std::string, LedgerEntry> ledger;
      for (const Output& output : partition.outputs) {
        ++result.checked;
        LedgerEntry& truth = ledger[output.key];
        Record(truth.count + 1, job.kind, &truth);
        if (output.value == truth) continue;
        result.Violate(StrCat(Place(job, p), output.key, " says ", ToText(output.value),
                              " where the truth is ", ToText(truth)));
      }
    }
  }
  return result;
}

}  // namespace millrace::chaos
