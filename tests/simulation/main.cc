// simulation: runs the whole cluster from seeds and says what did not hold. See --help.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/log.h"
#include "common/strings.h"
#include "tests/simulation/simulation.h"

namespace millrace::sim {
namespace {

constexpr int kShrinkRuns = 200;
constexpr int64_t kProgressEvery = 1000;

struct SimulationFlags {
  int64_t seeds = 50;
  int64_t from = 1;
  int64_t seed = 0;
  std::string defect;
  bool trace = false;
  bool shrink = false;
};

struct Totals {
  int64_t seeds = 0, failed = 0;
  uint64_t events = 0, deaths = 0, results = 0, commits = 0, states = 0, code_marks = 0;
  absl::Duration virtual_time;
  Network::Counts network;

  void Add(const Verdict& verdict) {
    ++seeds;
    failed += verdict.failure.empty() ? 0 : 1;
    events += verdict.events;
    deaths += verdict.deaths;
    results += verdict.results;
    commits += verdict.commits;
    states += verdict.states;
    code_marks += verdict.code_marks;
    virtual_time += verdict.virtual_time;
    network.appends += verdict.network.appends;
    network.refused += verdict.network.refused;
    network.late += verdict.network.late;
    network.lost += verdict.network.lost;
    network.doubled += verdict.network.doubled;
    network.cut_calls += verdict.network.cut_calls;
  }
};

// A folder in memory where there is one.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const std::filesystem::path memory("/dev/shm");
    std::error_code error;
    const auto parent =
        std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path();
    path_ = (parent / "millrace-simulation-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void Print(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void TellFailure(const SimulationFlags& flags, const Scenario& scenario, const Verdict& verdict,
                 const std::string& folder) {
  Print(StrCat("seed ", scenario.cluster.seed, " FAILED: ", verdict.failure));
  Print(StrCat("  again: simulation --seed ", scenario.cluster.seed,
               flags.defect.empty() ? "" : StrCat(" --defect ", flags.defect), " --trace"));
  if (!flags.shrink) return;
  const Scenario small = Shrink(scenario, folder, kShrinkRuns);
  const Verdict again = RunScenario(small, folder, [](const std::string& line) { Print(line); });
  Print(StrCat("shrunk to:\n", Describe(small), "  ", again.failure));
}

void TellTotals(const Totals& totals, absl::Duration took) {
  const double seconds = std::max(absl::ToDoubleSeconds(took), 1e-3);
  Print(StrCat(totals.seeds, " seeds, ", totals.failed, " failed; ", totals.deaths, " processes killed, ",
               totals.network.appends, " appends, ", totals.network.refused, " refused, ",
               totals.network.late, " late, ", totals.network.lost, " lost, ", totals.network.doubled,
               " doubled; ", totals.results, " results, ", totals.commits, " commits and ", totals.states,
               " states checked, ", totals.code_marks, " marks of new code; ",
               absl::ToInt64Minutes(totals.virtual_time), " minutes of virtual time, ", totals.events,
               " events"));
  Print(StrCat(static_cast<int64_t>(static_cast<double>(totals.seeds) * 60 / seconds),
               " schedules a minute (", static_cast<int64_t>(seconds * 10) / 10, " s)"));
}

int RunSeeds(const SimulationFlags& flags) {
  const TemporaryFolder folder;
  Totals totals;
  const absl::Time start = absl::Now();
  const TraceSink trace = flags.trace ? TraceSink([](const std::string& line) { Print(line); }) : TraceSink();
  const int64_t from = flags.seed > 0 ? flags.seed : flags.from;
  const int64_t seeds = flags.seed > 0 ? 1 : flags.seeds;
  std::optional<int64_t> first_caught;
  for (int64_t seed = from; seed < from + seeds; ++seed) {
    const Scenario scenario = MakeScenario(static_cast<uint64_t>(seed));
    if (flags.trace) Print(Describe(scenario));
    const Verdict verdict = RunScenario(scenario, folder.path(), trace);
    totals.Add(verdict);
    if (!verdict.failure.empty()) {
      if (!first_caught.has_value()) first_caught = seed - from + 1;
      TellFailure(flags, scenario, verdict, folder.path());
      if (!flags.defect.empty()) break;
    }
    if (totals.seeds % kProgressEvery == 0) TellTotals(totals, absl::Now() - start);
  }
  TellTotals(totals, absl::Now() - start);
  if (flags.defect.empty()) return totals.failed == 0 ? 0 : 1;
  Print(first_caught.has_value() ? StrCat("defect ", flags.defect, " caught by seed number ", *first_caught)
                                 : StrCat("defect ", flags.defect, " NOT caught"));
  return first_caught.has_value() ? 0 : 1;
}

int Main(const std::vector<std::string>& arguments) {
  SimulationFlags options;
  Flags flags("simulation [--seeds N] [--from SEED] [--seed SEED] [--trace] [--shrink] [--defect NAME]",
              "Runs a whole small cluster in one thread, from seeds, with everything going wrong, and checks "
              "it with an oracle of its own. The same seed is the same run, event for event.",
              "simulation --seeds 20000");
  flags.Add("seeds", &options.seeds, "N", "how many, one after the other");
  flags.Add("from", &options.from, "SEED", "the first");
  flags.Add("seed", &options.seed, "SEED", "this one alone");
  flags.AddSwitch("trace", &options.trace, "print every event");
  flags.AddSwitch("shrink", &options.shrink, "make what failed as small as it can be, and print its trace");
  flags.Add("defect", &options.defect, "NAME",
            "with this defect in the code (see common/failpoint.h): stops at the seed that catches it, and "
            "fails when none does");
  absl::StatusOr<Flags::Outcome> outcome = flags.Parse(arguments);
  if (!outcome.ok()) {
    std::fprintf(stderr, "simulation: %s\n", std::string(outcome.status().message()).c_str());
    return 2;
  }
  if (!outcome->proceed) return outcome->exit_code;
  if (!options.defect.empty()) setenv("MILLRACE_DEFECT", options.defect.c_str(), 1);
  // A hundred processes that die have much to say.
  SetUpLogging("simulation", options.trace ? LogLevel::kInfo : LogLevel::kError, LogFormat::kText);
  if (!options.trace && std::freopen("/dev/null", "w", stderr) == nullptr) return 2;
  return RunSeeds(options);
}

}  // namespace
}  // namespace millrace::sim

int main(int argc, char** argv) {
  return millrace::sim::Main(std::vector<std::string>(argv + 1, argv + argc));
}
