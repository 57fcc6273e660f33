// The workload: records numbered 1, 2, 3 … for each key, and three jobs that keep ledgers of them: one as a
// Lua handler, one on the native path, and one of two segments, natively by key and then, in Lua, by the group
// that the key belongs to. A record lost, doubled or swapped changes every later answer of its key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/chaos/plan.h"
#include "coordinator/chaos/scenario.h"

namespace millrace::chaos {

struct LedgerRecord {
  std::string key;
  uint64_t seq = 0;  // 0: the handler never returns from it
  bool operator==(const LedgerRecord&) const = default;
};

// The records of a job's input, in order. Pure. At `overruns` (rising positions) stands a record on which the
// Lua handler never returns.
std::vector<LedgerRecord> MakeInput(const LoadSpec& load, uint64_t seed,
                                    const std::vector<int64_t>& overruns);

// The positions at which the plan's overruns stand in the input of the Lua job.
std::vector<int64_t> OverrunsOf(const LoadSpec& load, const std::vector<PlannedFault>& plan);

// Of many keys one group, the same in every run.
std::string GroupOf(const std::string& key);
std::string InputLine(const LedgerRecord& record);  // with its newline
// Of the job that keeps this ledger.
std::string JobText(LedgerKind kind, const std::string& name, const LoadSpec& load);

// The same with code of a next release: other code that does the same. REQUIRES: a job with Lua.
std::string WithNextCode(const std::string& job_text);

absl::Status WriteFile(const std::string& path, const std::string& text);
// INVALID_ARGUMENT: it cannot be read.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace millrace::chaos
