// A run for people and for scripts: the timeline, the verdict, what was covered.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/chaos/checker.h"
#include "coordinator/chaos/history.h"
#include "nlohmann/json.hpp"

namespace millrace::chaos {

// What a verdict rests on. Pure.
struct Coverage {
  uint64_t records = 0, keys = 0, partitions = 0, labels = 0;
  uint64_t result_messages = 0, epochs = 0, stale_messages = 0, dead_letters = 0, states = 0;
  std::map<std::string, int> with_effect, without_effect;  // by kind; kills by point
  std::map<std::string, int> kills;                        // by point, "at any time" among them
  std::vector<absl::Duration> recoveries;                  // rising
};
Coverage Cover(const History& history);
// The share-th of the recoveries (0.5 is the median); zero when there is none.
absl::Duration Percentile(const std::vector<absl::Duration>& rising, double share);

struct RunReport {
  std::string scenario;
  uint64_t seed = 0;
  std::string folder;  // what is kept; empty: nothing
  std::string defect;  // that the workers were told to have; empty: none
};

// "  12.3 s  #7  kill worker-2 at in_commit:7 — died there by itself …"
std::string TimelineLine(const FaultOutcome& outcome);
std::string ToText(const RunReport& run, const History& history, const Verdict& verdict);
nlohmann::ordered_json ToJson(const RunReport& run, const History& history, const Verdict& verdict);

}  // namespace millrace::chaos
