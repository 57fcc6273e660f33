// What a run left behind, as an onlooker saw it: the input, the streams as a plain reader takes them, what
// owners said of themselves, and the faults. The checker judges this and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/chaos/ledger.h"
#include "coordinator/chaos/plain_reader.h"
#include "coordinator/chaos/plan.h"

namespace millrace::chaos {

// What the ledger knows of a key.
struct LedgerEntry {
  uint64_t count = 0, sum = 0, last = 0;
  std::optional<uint64_t> chain;  // of what is kept in Lua
  bool operator==(const LedgerEntry&) const = default;
};
std::string ToText(const LedgerEntry& entry);

// A record in a partition's log, in a message that R3 takes.
struct LogRecord {
  uint64_t offset = 0;
  std::string key;
  uint64_t seq = 0;
  std::string from = {};  // in a second segment: the key that is numbered so; otherwise it is `key`
};

struct Output {
  uint64_t offset = 0, index = 0;  // its label
  std::string key;
  LedgerEntry value;
};

// A message of a result stream. What crosses to another segment is in that one's log.
struct ResultMessage {
  uint64_t sequence = 0;
  char kind = 'r';
  uint64_t epoch = 0;
  PlainMark prev, upto;
  std::optional<uint64_t> expected_last;  // where its writer asked the broker to put it
  Taken taken = Taken::kTaken;
};

// A partition's state, as its owner told it.
struct StateSeen {
  std::string when;  // "after fault 7"; "at the end"
  bool at_end = false;
  uint64_t offset = 0;
  std::vector<std::pair<std::string, LedgerEntry>> rows;
};

// What an owner said of itself in its lease, and how far the result stream was after that.
struct OwnerSeen {
  std::string worker, incarnation;
  int64_t pid = 0;
  uint64_t epoch = 0, offset = 0, committed = 0;
  uint64_t result_sequence = 0;
};

struct PartitionHistory {
  bool stops_loudly = false;  // its stream was taken away: what is out must be right, and may be incomplete
  std::vector<LogRecord> log;
  std::vector<Output> outputs;
  std::vector<ResultMessage> messages;
  std::vector<StateSeen> states;
  std::vector<OwnerSeen> owners;
};

struct DeadLetterSeen {
  std::string id, key;
  uint64_t seq = 0;
};

struct LedgerHistory {
  LedgerKind kind = LedgerKind::kLua;
  std::vector<LedgerRecord> input;  // in a second segment, of the groups
  std::vector<PartitionHistory> partitions;
  std::vector<DeadLetterSeen> dead_letters;  // each id once
  std::vector<std::string> unreadable;       // messages that are not what the documents say
  std::string ended;                         // "completed"; empty: it has not ended
};

struct FaultOutcome {
  PlannedFault plan;
  absl::Duration began, ended;              // since the load began
  std::string effect;                       // what was observed; empty: nothing
  std::string note;                         // why there was none
  uint64_t in_flight = 0;                   // records fed and not out when it began
  std::optional<absl::Duration> recovered;  // from its end until all that waited was out
};

struct History {
  std::vector<LedgerHistory> ledgers;  // by LedgerKind
  std::vector<FaultOutcome> faults;
  int entries = 0;  // of the scenario's faults
  absl::Duration recovery_bound;
  std::vector<std::string> stuck;  // what did not go on in time
};

}  // namespace millrace::chaos
