// How long the leader takes to plan; it plans in every step.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "coordinator/leader/plan.h"

namespace millrace {
namespace {

constexpr size_t kAll = SIZE_MAX;

std::vector<PlanWorker> Workers(int count) {
  std::vector<PlanWorker> workers;
  for (int i = 0; i < count; ++i) {
    workers.push_back({"worker-" + std::to_string(i), "zone-" + std::to_string(i % 3)});
  }
  return workers;
}

// Three jobs; each partition of another load.
std::vector<PlanJob> Jobs(uint32_t partitions) {
  std::vector<PlanJob> jobs;
  for (uint32_t j = 0; j < 3; ++j) {
    PlanJob job{"job-" + std::to_string(j), partitions / 3 + (j < partitions % 3 ? 1 : 0), {}};
    for (uint32_t p = 0; p < job.partitions; ++p) job.loads.push_back(100.0 + p * 37 % 900);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void BM_PlanFromNothing(benchmark::State& state) {
  const auto workers = Workers(static_cast<int>(state.range(1)));
  const auto jobs = Jobs(static_cast<uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(Plan(workers, jobs, {}, kAll));
}
BENCHMARK(BM_PlanFromNothing)->Args({1000, 100})->Unit(benchmark::kMicrosecond);

void BM_PlanWhatStands(benchmark::State& state) {
  const auto workers = Workers(static_cast<int>(state.range(1)));
  const auto jobs = Jobs(static_cast<uint32_t>(state.range(0)));
  const Owners before = Plan(workers, jobs, {}, kAll);
  for (auto _ : state) benchmark::DoNotOptimize(Plan(workers, jobs, before));
}
BENCHMARK(BM_PlanWhatStands)->Args({1000, 100})->Unit(benchmark::kMicrosecond);

void BM_PlanTenWorkersLostAndTenNew(benchmark::State& state) {
  const auto all = Workers(static_cast<int>(state.range(1)) + 10);
  const auto jobs = Jobs(static_cast<uint32_t>(state.range(0)));
  const Owners before = Plan({all.begin(), all.end() - 10}, jobs, {}, kAll);
  const std::vector<PlanWorker> now(all.begin() + 10, all.end());
  for (auto _ : state) benchmark::DoNotOptimize(Plan(now, jobs, before, kAll));
}
BENCHMARK(BM_PlanTenWorkersLostAndTenNew)->Args({1000, 100})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
