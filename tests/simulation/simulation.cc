#include "tests/simulation/simulation.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <utility>

#include "common/failpoint.h"
#include "common/strings.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kFaultSpan = absl::Seconds(3);
constexpr uint32_t kMostFaults = 12;
// Once nothing more goes wrong the job must end within this: several leases, the longest of all retries, and
// the longest wait for an answer.
constexpr absl::Duration kProgressBound = absl::Seconds(90);
constexpr absl::Duration kFinalLook = absl::Milliseconds(100);
constexpr absl::Duration kAfterTheEnd = absl::Seconds(1);  // zombies have their say
constexpr size_t kLongKeyBytes = 1500;
constexpr const char* kHandlerNames[] = {"native", "lua", "final", "branched", "windowed"};

constexpr void (*kSimplifications[])(ClusterOptions&) = {
    [](ClusterOptions& cluster) { cluster.ledger.group_partitions = 0; },
    [](ClusterOptions& cluster) { cluster.ledger.records -= cluster.ledger.records / 2; },
    [](ClusterOptions& cluster) { cluster.ledger.records -= cluster.ledger.records / 4; },
    [](ClusterOptions& cluster) { cluster.ledger.records -= cluster.ledger.records / 8; },
    [](ClusterOptions& cluster) { cluster.ledger.partitions = 1; },
    [](ClusterOptions& cluster) { cluster.lanes = 1; },
    [](ClusterOptions& cluster) { cluster.coordinators = 1; },
    [](ClusterOptions& cluster) { cluster.workers = std::max(1u, cluster.workers - 1); },
};

void DieAtPoints(Kernel& kernel) {
#if MILLRACE_TEST_HOOKS
  SetFailpointHandler([&kernel](const char* name) {
    Task* const task = kernel.current();
    if (task == nullptr || task->unwinding || task->process.dying) return;
    Process& process = task->process;
    if (process.die_at == name && --process.die_at_pass == 0) kernel.KillCurrent();
  });
#else
  static_cast<void>(kernel);
#endif
}

void RunCluster(Cluster& cluster, const Scenario& scenario) {
  Schedule(cluster, scenario.faults);
  cluster.Start();
  absl::Duration look_at;
  const auto ended = [&] {
    if (!cluster.oracle().failure().empty()) return true;
    if (cluster.kernel().now() < look_at) return false;
    look_at = cluster.kernel().now() + kFinalLook;
    return cluster.Ended();
  };
  const absl::Duration limit = EndOf(scenario.faults) + kProgressBound;
  if (!cluster.kernel().RunUntil(ended, limit)) return;
  cluster.kernel().RunUntil([] { return false; }, kAfterTheEnd);
}

std::string JudgeEnd(Cluster& cluster) {
  cluster.oracle().ReadOn();
  cluster.CheckDisks();
  if (!cluster.oracle().failure().empty()) return cluster.oracle().failure();
  const std::optional<FinalStatus> final = cluster.Final();
  if (!final.has_value()) {
    cluster.oracle().CheckEnd();
    return StrCat(
        "no end: the job has not completed within the bound — ",
        cluster.oracle().failure().empty() ? "though every result is there" : cluster.oracle().failure());
  }
  if (final->state != "completed") return StrCat("the job has ", final->state, ": ", final->reason);
  cluster.oracle().CheckEnd();
  if (!cluster.oracle().failure().empty()) return cluster.oracle().failure();
  const uint64_t records = cluster.ledger().options().records;
  if (final->records_in != records || final->records_out != cluster.ledger().outputs() ||
      final->dead_letters != 0) {
    return StrCat("the job's end says ", final->records_in, " records in, ", final->records_out, " out, ",
                  final->dead_letters, " dead letters, of ", records, " records");
  }
  return "";
}

}  // namespace

Scenario MakeScenario(uint64_t seed) {
  std::mt19937_64 random(seed * 0xda942042e4dd58b5u + 7);
  const auto below = [&](uint64_t n) { return static_cast<uint32_t>(random() % n); };
  Scenario scenario;
  ClusterOptions& cluster = scenario.cluster;
  cluster.seed = seed;
  cluster.workers = 1 + below(3);
  cluster.lanes = 1 + below(2);
  cluster.coordinators = 1 + below(2);
  cluster.lease_ttl = absl::Seconds(1 + below(2));
  cluster.ledger.partitions = 1 + below(3);
  cluster.ledger.records = 80 + below(300);
  cluster.ledger.keys = 1 + below(16);
  cluster.frame_records = 1 + below(12);
  cluster.feed_pause = absl::Milliseconds(20 + below(250));
  const uint32_t handler = below(8);
  if (handler < 2) cluster.ledger.handler = Handler::kLua;
  if (handler == 2) cluster.ledger.handler = Handler::kFinal;
  if (handler == 3) cluster.ledger.handler = Handler::kBranched;
  if (handler == 4) cluster.ledger.handler = Handler::kWindowed;
  if (below(4) == 0) cluster.memory_bytes = 0;  // every key is evicted and read again
  if (below(8) == 0) {                          // outputs of one frame fill more than one message
    cluster.ledger.key_bytes = kLongKeyBytes;
    cluster.ledger.keys = 4;
    cluster.frame_records = 80;
  }
  if (below(2) == 0) {
    cluster.ledger.group_partitions = 1 + below(3);
    cluster.ledger.groups = 1 + below(8);
  }
  const uint32_t places = cluster.workers + cluster.coordinators + 1;
  scenario.faults = MakeFaultPlan(seed, places, kMostFaults, kFaultSpan);
  return scenario;
}

Verdict RunScenario(const Scenario& scenario, const std::string& folder, const TraceSink& trace) {
  Verdict verdict;
  ClusterOptions options = scenario.cluster;
  options.folder = folder;
  {
    Cluster cluster(options);
    DieAtPoints(cluster.kernel());
    if (trace) cluster.kernel().TraceTo(trace);
    RunCluster(cluster, scenario);
    verdict.failure = JudgeEnd(cluster);
    verdict.trace_hash = cluster.kernel().trace_hash();
    verdict.events = cluster.kernel().events();
    verdict.virtual_time = cluster.kernel().now();
    verdict.deaths = cluster.deaths();
    verdict.results = cluster.oracle().results();
    verdict.commits = cluster.oracle().commits_checked();
    verdict.states = cluster.oracle().states_checked();
    verdict.code_marks = cluster.oracle().code_marks();
    verdict.network = cluster.network().counts();
  }
#if MILLRACE_TEST_HOOKS
  SetFailpointHandler(nullptr);
#endif
  for (const auto& entry : std::filesystem::directory_iterator(folder)) std::filesystem::remove_all(entry);
  return verdict;
}

Scenario Shrink(Scenario scenario, const std::string& folder, int runs) {
  const auto fails = [&](const Scenario& candidate) {
    return runs-- > 0 && !RunScenario(candidate, folder).failure.empty();
  };
  bool smaller = true;
  while (smaller && runs > 0) {
    smaller = false;
    for (size_t i = scenario.faults.size(); i-- > 0;) {
      Scenario candidate = scenario;
      candidate.faults.erase(candidate.faults.begin() + static_cast<int64_t>(i));
      if (!fails(candidate)) continue;
      scenario = std::move(candidate);
      smaller = true;
    }
    for (const auto& simplify : kSimplifications) {
      Scenario candidate = scenario;
      simplify(candidate.cluster);
      if (Describe(candidate) == Describe(scenario) || !fails(candidate)) continue;
      scenario = std::move(candidate);
      smaller = true;
    }
  }
  return scenario;
}

std::string Describe(const Scenario& scenario) {
  const ClusterOptions& cluster = scenario.cluster;
  std::string text = StrCat(
      "seed ", cluster.seed, ": ", cluster.workers, " workers of ", cluster.lanes, " lanes, ",
      cluster.coordinators, " coordinators, ", cluster.ledger.records, " records of ", cluster.ledger.keys,
      " keys in ", cluster.ledger.partitions, " partitions, ",
      cluster.ledger.segments() == 1 ? "" : StrCat("on by group in ", cluster.ledger.group_partitions, ", "),
      "frames of ", cluster.frame_records, ", ", kHandlerNames[static_cast<size_t>(cluster.ledger.handler)],
      cluster.memory_bytes == 0 ? ", no memory" : "", cluster.ledger.key_bytes > 0 ? ", long keys" : "",
      "\n");
  for (const Fault& fault : scenario.faults) StrAppend(&text, fault.ToString(), "\n");
  return text;
}

}  // namespace millrace::sim
