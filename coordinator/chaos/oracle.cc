#include "coordinator/chaos/oracle.h"

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

void Record(uint64_t seq, JobKind kind, LedgerEntry* entry) {
  ++entry->count;
  entry->sum += seq;
  entry->last = seq;
  if (kind == JobKind::kLua) entry->chain = (entry->chain.value_or(0) * kChainFactor + seq) % kChainModulus;
}

Ledger LedgerAt(const std::vector<LogRecord>& log, uint64_t offset, JobKind kind) {
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

}  // namespace millrace::chaos
