// Rules 5 to 8: epochs, offsets, fencing, state.
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "common/strings.h"
#include "coordinator/chaos/checker.h"
#include "coordinator/chaos/oracle.h"

namespace millrace::chaos {
namespace {

std::string StreamPlace(const LedgerHistory& ledger, size_t partition, uint64_t sequence) {
  return StrCat(LedgerName(ledger.kind), ", results of partition ", partition, ", message ", sequence, ": ");
}

std::string OwnerPlace(const LedgerHistory& ledger, size_t partition, const OwnerSeen& owner) {
  return StrCat(LedgerName(ledger.kind), ", partition ", partition, ", ", owner.worker, " ",
                owner.incarnation, ": ");
}

// What readers take goes on exactly where they are, and so does each new owner. What they drop may lie
// anywhere: appends on their way when the owner changed stand between the new one's, which are then sent
// again.
void CheckMarks(const LedgerHistory& ledger, size_t p, RuleResult* result) {
  uint64_t epoch = 0;
  PlainMark mark{0, 0};
  for (const ResultMessage& message : ledger.partitions[p].messages) {
    ++result->checked;
    const bool is_mark =
        message.kind == 'e' && message.taken != Taken::kStale && message.taken != Taken::kForeign;
    if (message.taken != Taken::kTaken && !is_mark) continue;
    if (message.prev != mark || message.upto < message.prev || message.epoch < epoch) {
      result->Violate(StrCat(StreamPlace(ledger, p, message.sequence), "epoch ", message.epoch, " from ",
                             message.prev.first, ".", message.prev.second, " to ", message.upto.first, ".",
                             message.upto.second, ", behind ", mark.first, ".", mark.second, " of epoch ",
                             epoch));
    }
    epoch = std::max(epoch, message.epoch);
    mark = std::max(mark, message.upto);
  }
}

void CheckOwnerOffsets(const LedgerHistory& ledger, size_t p, RuleResult* result) {
  std::map<std::pair<std::string, uint64_t>, OwnerSeen> last;
  for (const OwnerSeen& owner : ledger.partitions[p].owners) {
    ++result->checked;
    const auto [at, is_new] = last.try_emplace({owner.incarnation, owner.epoch}, owner);
    const OwnerSeen& before = at->second;
    if (!is_new && (owner.offset < before.offset || owner.committed < before.committed)) {
      result->Violate(StrCat(OwnerPlace(ledger, p, owner), "offset ", owner.offset, " (committed ",
                             owner.committed, ") after ", before.offset, " (", before.committed, ")"));
    }
    if (owner.committed > owner.offset) {
      result->Violate(StrCat(OwnerPlace(ledger, p, owner), "committed ", owner.committed,
                             " beyond its offset ", owner.offset));
    }
    at->second = owner;
  }
}

// Whether the state is what the ledger says of these keys.
void CompareState(const std::string& place, const StateSeen& seen, const Ledger& truth, RuleResult* result) {
  std::set<std::string> told;
  for (const auto& [key, entry] : seen.rows) {
    ++result->checked;
    told.insert(key);
    const auto found = truth.find(key);
    if (found == truth.end()) {
      result->Violate(StrCat(place, key, " is in the state and in no input"));
    } else if (found->second != entry) {
      result->Violate(StrCat(place, key, " is ", ToText(entry), ", the truth is ", ToText(found->second)));
    }
  }
  for (const auto& [key, entry] : truth) {
    if (!told.contains(key)) result->Violate(StrCat(place, key, " is missing from the state"));
  }
}

// How far the accepted results reach at a sequence of the stream.
PlainMark MarkAt(const PartitionHistory& partition, uint64_t sequence) {
  PlainMark mark{0, 0};
  for (const ResultMessage& message : partition.messages) {
    if (message.sequence > sequence) break;
    if (message.taken == Taken::kTaken) mark = message.upto;
  }
  return mark;
}

// R2 from outside: what a commit calls done is out. What has crossed to another segment has no sequence of one
// stream to compare with: an heir that went on too far shows as a label that is missing there.
void CheckCommitsAreOut(const LedgerHistory& ledger, size_t p, RuleResult* result) {
  if (ledger.kind == LedgerKind::kFront) return;
  const PartitionHistory& partition = ledger.partitions[p];
  const std::vector<PlainMark> labels = LabelsOf(partition.log);
  for (const OwnerSeen& owner : partition.owners) {
    const auto behind = std::lower_bound(labels.begin(), labels.end(), PlainMark(owner.committed + 1, 0));
    if (behind == labels.begin()) continue;
    ++result->checked;
    const PlainMark last = *std::prev(behind);
    if (MarkAt(partition, owner.result_sequence) > last) continue;
    result->Violate(StrCat(OwnerPlace(ledger, p, owner), "committed ", owner.committed, " while output ",
                           last.first, ".", last.second, " was not out"));
  }
}

// By partition. Which of several keys' records comes first in a second segment is not in the input: there the
// log decides, and that it holds each record of the input once is what rules 1 to 4 say.
std::vector<Ledger> TruthOf(const LedgerHistory& ledger, uint32_t partitions) {
  std::vector<Ledger> truth(partitions);
  if (ledger.kind == LedgerKind::kBack) {
    for (uint32_t p = 0; p < partitions; ++p) {
      truth[p] = LedgerAt(ledger.partitions[p].log, std::numeric_limits<uint64_t>::max(), ledger.kind);
    }
    return truth;
  }
  for (const LedgerRecord& record : ledger.input) {
    if (record.seq == 0) continue;
    Record(record.seq, ledger.kind, &truth[PlainPartition(record.key, partitions)][record.key]);
  }
  return truth;
}

}  // namespace

RuleResult OffsetsAndEpochsRise(const History& history) {
  RuleResult result{5, "per partition, offsets and epochs only rise", "messages and leases", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    for (size_t p = 0; p < ledger.partitions.size(); ++p) {
      CheckMarks(ledger, p, &result);
      CheckOwnerOffsets(ledger, p, &result);
    }
  }
  return result;
}

RuleResult NoEffectOfAnOlderEpoch(const History& history) {
  RuleResult result{6, "no effect of an epoch older than one that acted", "messages", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    for (size_t p = 0; p < ledger.partitions.size(); ++p) {
      uint64_t marked = 0;
      for (const ResultMessage& message : ledger.partitions[p].messages) {
        ++result.checked;
        const std::string place = StreamPlace(ledger, p, message.sequence);
        if (!message.expected_last.has_value()) {
          result.Violate(place +
                         "nothing was expected before it: an older owner's would stand there as well");
        } else if (*message.expected_last + 1 != message.sequence) {
          result.Violate(StrCat(place, "its owner expected ", *message.expected_last, " before it"));
        }
        if (message.kind == 'e' && message.epoch <= marked) {
          result.Violate(StrCat(place, "a mark of epoch ", message.epoch, " after one of ", marked));
        }
        if (message.kind == 'e') marked = std::max(marked, message.epoch);
        if (message.taken == Taken::kTaken && message.epoch != marked) {
          result.Violate(
              StrCat(place, "it counts, of epoch ", message.epoch, ", and the mark is of ", marked));
        }
      }
      std::map<uint64_t, OwnerSeen> by_epoch;
      for (const OwnerSeen& owner : ledger.partitions[p].owners) {
        const OwnerSeen& first = by_epoch.try_emplace(owner.epoch, owner).first->second;
        // A process that has joined anew tells of what it is about to drop under its new incarnation.
        if (first.pid == owner.pid || owner.epoch == 0) continue;
        result.Violate(StrCat(OwnerPlace(ledger, p, owner), "pid ", owner.pid, " has epoch ", owner.epoch,
                              ", which is ", first.worker, "'s, pid ", first.pid));
      }
    }
  }
  return result;
}

RuleResult StateIsTheOracles(const History& history) {
  RuleResult result{7, "at the end the state is the oracle's, for every key", "keys", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    const auto partitions = static_cast<uint32_t>(ledger.partitions.size());
    const std::vector<Ledger> truth = TruthOf(ledger, partitions);
    for (uint32_t p = 0; p < partitions; ++p) {
      const PartitionHistory& partition = ledger.partitions[p];
      const auto end = std::find_if(partition.states.begin(), partition.states.end(),
                                    [](const StateSeen& seen) { return seen.at_end; });
      const std::string place = StrCat(LedgerName(ledger.kind), ", partition ", p, ", at the end: ");
      if (end != partition.states.end()) {
        CompareState(place, *end, truth[p], &result);
      } else if (!partition.stops_loudly && !truth[p].empty()) {
        result.Violate(place + "nobody could be asked for the state");
      }
    }
  }
  return result;
}

RuleResult StateOffsetAndOutputsBelongTogether(const History& history) {
  RuleResult result{8, "state, offset and outputs belong together", "keys and commits", 0, 0, {}};
  for (const LedgerHistory& ledger : history.ledgers) {
    for (size_t p = 0; p < ledger.partitions.size(); ++p) {
      const PartitionHistory& partition = ledger.partitions[p];
      if (partition.stops_loudly) continue;
      for (const StateSeen& seen : partition.states) {
        const std::string place = StrCat(LedgerName(ledger.kind), ", partition ", p, ", ", seen.when,
                                         ", at offset ", seen.offset, ": ");
        CompareState(place, seen, LedgerAt(partition.log, seen.offset, ledger.kind), &result);
      }
      CheckCommitsAreOut(ledger, p, &result);
    }
  }
  return result;
}

}  // namespace millrace::chaos
