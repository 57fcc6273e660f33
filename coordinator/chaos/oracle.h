// The truth: what the ledger must say, worked out from the records alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/chaos/history.h"

namespace millrace::chaos {

using Ledger = std::map<std::string, LedgerEntry>;

// Whether its entries tell the order of the records: what is kept in Lua.
bool HasChain(LedgerKind kind);

// Takes the record with that number into a key's entry.
void Record(uint64_t seq, LedgerKind kind, LedgerEntry* entry);

// Every key's entry behind the records of the log up to and with `offset`.
Ledger LedgerAt(const std::vector<LogRecord>& log, uint64_t offset, LedgerKind kind);

// The labels that the log's records give to their outputs, in order: one output a record, numbered within its
// frame; none for a record whose handler never returns.
std::vector<PlainMark> LabelsOf(const std::vector<LogRecord>& log);

// What those outputs say, in the same order.
std::vector<LedgerEntry> ValuesOf(const std::vector<LogRecord>& log, LedgerKind kind);

}  // namespace millrace::chaos
