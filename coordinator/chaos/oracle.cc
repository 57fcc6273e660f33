#include "coordinator/chaos/oracle.h"

#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "common/strings.h"

namespace millrace::chaos {
namespace {
constexpr uint64_t kChainFactor = 31;
constexpr uint64_t kChainModulus = 1'000'003;
}  // namespace

std::string ToText(const LedgerEntry& entry) {
  std::string text = StrCat("{count ", entry.count, ", sum ", entry.sum, ", last ", entry.last);
  if (entry.chain.has_value()) StrAppend(&text, ", chain ", *entry.chain);
  return text + "}";
}

bool HasChain(LedgerKind kind) { return kind == LedgerKind::kLua || kind == LedgerKind::kBack; }

void Record(uint64_t seq, LedgerKind kind, LedgerEntry* entry) {
  ++entry->count;
  entry->sum += seq;
  entry->last = seq;
  if (HasChain(kind)) entry->chain = (entry->chain.value_or(0) * kChainFactor + seq) % kChainModulus;
}

Ledger LedgerAt(const std::vector<LogRecord>& log, uint64_t offset, LedgerKind kind) {
  Ledger ledger;
  for (const LogRecord& record : log) {
    if (record.offset > offset) break;
    if (record.seq > 0) Record(record.seq, kind, &ledger[record.key]);
  }
  return ledger;
}

std::vector<PlainMark> LabelsOf(const std::vector<LogRecord>& log) {
  std::vector<PlainMark> labels;
  labels.reserve(log.size());
  uint64_t offset = 0, index = 0;
  for (const LogRecord& record : log) {
    if (record.offset != offset) index = 0;
    offset = record.offset;
    if (record.seq > 0) labels.emplace_back(offset, index++);
  }
  return labels;
}

std::vector<LedgerEntry> ValuesOf(const std::vector<LogRecord>& log, LedgerKind kind) {
  std::vector<LedgerEntry> values;
  values.reserve(log.size());
  absl::flat_hash_map<std::string_view, LedgerEntry> ledger;
  for (const LogRecord& record : log) {
    if (record.seq == 0) continue;
    LedgerEntry& entry = ledger[record.key];
    Record(record.seq, kind, &entry);
    values.push_back(entry);
  }
  return values;
}

}  // namespace millrace::chaos
