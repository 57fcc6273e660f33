// What holds of every plan, over generated clusters. A failure prints the seed and a small cluster that shows
// it.
#include <algorithm>
#include <cmath>
#include <set>

#include "coordinator/leader/plan.h"
#include "gtest/gtest.h"
#include "rapidcheck/gtest.h"

namespace millrace {
namespace {

// A cluster that changed: some owners of before are gone, some workers and jobs are new.
struct Change {
  std::vector<PlanWorker> workers;
  std::vector<PlanJob> jobs;
  Owners previous;
  Owners before;
};

std::string WorkerName(int n) { return "w" + std::to_string(n); }

rc::Gen<std::vector<double>> Loads(uint32_t partitions) {
  return rc::gen::oneOf(
      rc::gen::just(std::vector<double>{}),
      rc::gen::map(
          rc::gen::container<std::vector<int>>(partitions, rc::gen::inRange(-1, 1000)),
          [](const std::vector<int>& loads) { return std::vector<double>(loads.begin(), loads.end()); }));
}

enum class WithLoads { kNo, kYes };

Change AnyChange(WithLoads with_loads) {
  Change change;
  const auto alive = *rc::gen::unique<std::vector<int>>(rc::gen::inRange(0, 12)).as("workers");
  for (const int n : alive) {
    change.workers.push_back({WorkerName(n), "zone" + std::to_string(*rc::gen::inRange(0, 3)), false});
  }
  if (change.workers.empty()) change.workers.push_back({WorkerName(0)});
  const int jobs = *rc::gen::inRange(0, 5);
  for (int j = 0; j < jobs; ++j) {
    const auto partitions = static_cast<uint32_t>(*rc::gen::inRange(1, 30));
    change.jobs.push_back({"job" + std::to_string(j), partitions, {}});
    if (with_loads == WithLoads::kYes) change.jobs.back().loads = *Loads(partitions);
    for (Owners* owners : {&change.previous, &change.before}) {
      const auto known = static_cast<size_t>(*rc::gen::inRange(0, 35));
      for (const int n : *rc::gen::container<std::vector<int>>(known, rc::gen::inRange(-1, 16))) {
        (*owners)[change.jobs.back().uid].push_back(n < 0 ? "" : WorkerName(n));
      }
    }
  }
  return change;
}

std::map<std::string, size_t> CountsOf(const Change& change, const Owners& owners) {
  std::map<std::string, size_t> counts;
  for (const PlanWorker& worker : change.workers) counts[worker.name] = 0;
  for (const auto& [uid, names] : owners) {
    for (const std::string& name : names) ++counts[name];
  }
  return counts;
}

// The previous owners that are alive, of partitions that are there.
Owners LivingOwners(const Change& change) {
  Owners living;
  for (const PlanJob& job : change.jobs) {
    std::vector<std::string>& names = living[job.uid];
    if (const auto found = change.previous.find(job.uid); found != change.previous.end())
      names = found->second;
    names.resize(job.partitions);
    for (std::string& name : names) {
      const bool alive = std::any_of(change.workers.begin(), change.workers.end(),
                                     [&](const PlanWorker& worker) { return worker.name == name; });
      if (!alive) name.clear();
    }
  }
  return living;
}

// What no even plan can do without: what workers hold beyond their quotas, where the larger quotas are dealt
// out so as to keep most.
size_t FewestMoves(const Change& change) {
  std::map<std::string, size_t> held;
  size_t total = 0, owned = 0, kept = 0;
  for (const auto& [uid, names] : LivingOwners(change)) {
    total += names.size();
    for (const std::string& name : names) {
      if (!name.empty()) ++held[name], ++owned;
    }
  }
  const size_t low = total / change.workers.size();
  size_t larger = total % change.workers.size();
  for (const auto& [name, count] : held) {
    kept += std::min(count, low);
    if (count > low && larger > 0) ++kept, --larger;
  }
  return owned - kept;
}

RC_GTEST_PROP(PlanProperties, EveryPartitionHasALivingOwner, ()) {
  const Change change = AnyChange(WithLoads::kYes);
  const auto max_moves = static_cast<size_t>(*rc::gen::inRange(0, 40));
  const Owners owners = Plan(change.workers, change.jobs, change.previous, max_moves, change.before);
  RC_ASSERT(owners.size() == change.jobs.size());
  for (const PlanJob& job : change.jobs) RC_ASSERT(owners.at(job.uid).size() == job.partitions);
  RC_ASSERT(CountsOf(change, owners).size() == change.workers.size());  // nobody else owns any
}

RC_GTEST_PROP(PlanProperties, WithoutLoadsItIsEvenWithTheFewestMoves, ()) {
  const Change change = AnyChange(WithLoads::kNo);
  const Owners owners = Plan(change.workers, change.jobs, change.previous, SIZE_MAX, change.before);
  size_t least = SIZE_MAX, most = 0;
  for (const auto& [name, count] : CountsOf(change, owners)) {
    least = std::min(least, count);
    most = std::max(most, count);
  }
  RC_ASSERT(most - least <= 1u);
  RC_ASSERT(CountMoves(LivingOwners(change), owners) == FewestMoves(change));
}

RC_GTEST_PROP(PlanProperties, TheOrderOfTheArgumentsDoesNotMatter, ()) {
  Change change = AnyChange(WithLoads::kYes);
  const Owners owners = Plan(change.workers, change.jobs, change.previous, 5, change.before);
  std::reverse(change.workers.begin(), change.workers.end());
  std::reverse(change.jobs.begin(), change.jobs.end());
  RC_ASSERT(Plan(change.workers, change.jobs, change.previous, 5, change.before) == owners);
}

RC_GTEST_PROP(PlanProperties, NoMoreMovesThanTheBoundAndInTheEndItRests, ()) {
  const Change change = AnyChange(WithLoads::kYes);
  Owners now = LivingOwners(change);
  size_t rounds = 0;
  for (;; ++rounds) {
    const Owners next = Plan(change.workers, change.jobs, now, 3, change.before);
    RC_ASSERT(CountMoves(now, next) <= 3u);
    if (next == now) break;
    now = next;
    RC_ASSERT(rounds < 200u);
  }
}

RC_GTEST_PROP(PlanProperties, ADrainingWorkerEndsUpEmpty, ()) {
  Change change = AnyChange(WithLoads::kYes);
  RC_PRE(change.workers.size() > 1);
  change.workers.front().drains = true;
  const Owners owners = Plan(change.workers, change.jobs, change.previous, SIZE_MAX, change.before);
  RC_ASSERT(CountsOf(change, owners)[change.workers.front().name] == 0u);
}

}  // namespace
}  // namespace millrace
