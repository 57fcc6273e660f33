// One run from one seed: a cluster of some shape, a ledger of some size, a plan of faults, and the verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/simulation/cluster.h"
#include "tests/simulation/faults.h"

namespace millrace::sim {

struct Scenario {
  ClusterOptions cluster;
  FaultPlan faults;
};

// What the seed says.
Scenario MakeScenario(uint64_t seed);

struct Verdict {
  std::string failure;  // empty: all held
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  absl::Duration virtual_time;
  uint64_t deaths = 0, results = 0, commits = 0, states = 0, code_marks = 0;
  Network::Counts network;
};

using TraceSink = std::function<void(const std::string&)>;

// `folder`: a real one, empty, for locks and the input; it is emptied again.
Verdict RunScenario(const Scenario& scenario, const std::string& folder, const TraceSink& trace = {});

// A failure from fewer faults, records, processes and segments: one part after the other is left out as long as
// the run still fails. `runs` bounds the attempts.
Scenario Shrink(Scenario scenario, const std::string& folder, int runs);

// A line for each part, to be read by people.
std::string Describe(const Scenario& scenario);

}  // namespace millrace::sim
