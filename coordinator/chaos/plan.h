// What goes wrong when, to whom: decided before anything is started, from the scenario and the seed alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/chaos/scenario.h"
#include "nlohmann/json.hpp"

namespace millrace::chaos {

// A ledger is what one segment of one job keeps. Jobs of one segment first; of the job of two, the first segment
// sums up by the records' keys, and what comes of that crosses to the second under other keys.
enum class LedgerKind { kLua, kNative, kFront, kBack };
inline constexpr int kLedgers = 4;
inline constexpr int kLedgerJobs = 3;  // each of the first kinds is in a job of its own; kBack is in kFront's
inline constexpr int kOneSegmentJobs = 2;  // a job whose stream was taken away is among these
inline uint32_t SegmentOf(LedgerKind kind) { return kind == LedgerKind::kBack ? 1 : 0; }
std::string_view JobName(LedgerKind kind);     // "ledger-lua", "ledger-native", "ledger-crossing"
std::string_view LedgerName(LedgerKind kind);  // likewise, and which segment

struct PlannedFault {
  int number = 0;  // from 1, in order of time
  int entry = 0;   // of the scenario's `faults`, from 0
  FaultKind kind = FaultKind::kKill;
  absl::Duration at;  // since the load began
  absl::Duration duration;
  int64_t worker = 0;   // whom it hits, from 0
  std::string point;    // where it dies; empty: at once
  int64_t passing = 1;  // when it passes there so often
  LedgerKind ledger = LedgerKind::kLua;
  uint32_t partition = 0;
  Way way = Way::kBoth;
  absl::Duration delay;
  double loss = 0;
  int64_t workers = 0;
  absl::Duration by;                // what the wall clock is wrong by
  int64_t broker = 0, brokers = 0;  // the first that is hit, from 0, and how many
  uint64_t seed = 0;                // for what it draws itself: which file, which bit, which packet

  bool operator==(const PlannedFault&) const = default;
};

// Pure: the same scenario and seed give the same plan.
std::vector<PlannedFault> Plan(const Scenario& scenario, uint64_t seed);

// One line for people: "kill worker-2 at in_commit:7".
std::string Describe(const PlannedFault& fault);
nlohmann::ordered_json ToJson(const std::vector<PlannedFault>& plan);

}  // namespace millrace::chaos
