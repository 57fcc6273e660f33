#include "coordinator/leader/plan.h"

#include <algorithm>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Names(size_t count) {
  std::vector<std::string> names;
  for (size_t i = 1; i <= count; ++i) names.push_back("worker-" + std::to_string(i));
  return names;
}

std::map<std::string, size_t> Counts(const std::vector<std::string>& workers, const Owners& owners) {
  std::map<std::string, size_t> counts;
  for (const std::string& worker : workers) counts[worker] = 0;
  for (const auto& [uid, names] : owners) {
    for (const std::string& name : names) ++counts[name];
  }
  return counts;
}

// Moves that no even plan can do without: what the workers hold beyond the quotas, where the larger quotas
// are dealt out so as to keep most.
size_t FewestMoves(const std::vector<std::string>& workers, const std::vector<PlanJob>& jobs,
                   const Owners& previous) {
  std::map<std::string, size_t> held;
  size_t total = 0, owned = 0;
  for (const PlanJob& job : jobs) {
    total += job.partitions;
    const auto found = previous.find(job.uid);
    if (found == previous.end()) continue;
    for (size_t p = 0; p < std::min<size_t>(job.partitions, found->second.size()); ++p) {
      if (std::count(workers.begin(), workers.end(), found->second[p]) == 0) continue;
      ++held[found->second[p]];
      ++owned;
    }
  }
  const size_t low = total / workers.size();
  size_t larger = total % workers.size();
  size_t kept = 0;
  for (const auto& [name, count] : held) {
    kept += std::min(count, low);
    if (count > low && larger > 0) {
      ++kept;
      --larger;
    }
  }
  return owned - kept;
}

size_t MovesOfLiveOwners(const std::vector<std::string>& workers, const Owners& from, const Owners& to) {
  Owners living = from;
  for (auto& [uid, names] : living) {
    for (std::string& name : names) {
      if (std::count(workers.begin(), workers.end(), name) == 0) name.clear();
    }
  }
  return CountMoves(living, to);
}

TEST(Plan, WithoutWorkersNobodyOwnsAnything) {
  EXPECT_THAT(Plan({}, {{"a", 2}}, {})["a"], ElementsAre("", ""));
}

TEST(Plan, WithoutJobsThereIsNothingToOwn) { EXPECT_TRUE(Plan({"w"}, {}, {{"gone", {"w"}}}).empty()); }

TEST(Plan, TwoWorkersShareAJobEvenly) {
  EXPECT_THAT(Plan({"w2", "w1"}, {{"a", 4}}, {})["a"], ElementsAre("w1", "w2", "w1", "w2"));
}

TEST(Plan, AWorkerThatIsLostLosesOnlyItsOwn) {
  const Owners before = {{"a", {"w1", "w2", "w3", "w1", "w2", "w3"}}};
  EXPECT_THAT(Plan({"w1", "w3"}, {{"a", 6}}, before)["a"], ElementsAre("w1", "w1", "w3", "w1", "w3", "w3"));
}

TEST(Plan, AWorkerThatJoinsTakesItsShareAndNoMore) {
  const Owners before = {{"a", {"w1", "w2", "w1", "w2", "w1", "w2"}}};
  const Owners after = Plan({"w1", "w2", "w3"}, {{"a", 6}}, before);
  EXPECT_EQ(CountMoves(before, after), 2u);
  EXPECT_THAT(after.at("a"), ElementsAre("w1", "w2", "w1", "w2", "w3", "w3"));
}

TEST(Plan, EverySegmentOfAJobIsSpread) {
  const Owners owners = Plan({"w1", "w2"}, {{"a", 4, {2, 2}}}, {});
  ASSERT_EQ(owners.at("a").size(), 8u);
  for (const size_t first : {0, 2, 4, 6}) {
    EXPECT_NE(owners.at("a")[first], owners.at("a")[first + 1]) << "partitions " << first << " and the next";
  }
  EXPECT_EQ(Plan({"w1", "w2"}, {{"a", 4, {2, 2}}}, owners), owners);
  const Owners grown = Plan({"w1", "w2", "w3", "w4"}, {{"a", 4, {2, 2}}}, owners);
  EXPECT_EQ(CountMoves(owners, grown), 4u);
  EXPECT_EQ(Plan({}, {{"a", 4, {2, 2}}}, owners).at("a"), std::vector<std::string>(8));
}

TEST(Plan, NothingMovesWhenAnEvenPlanStands) {
  const Owners before = {{"a", {"w2", "w1", "w1"}}, {"b", {"w2"}}};
  EXPECT_EQ(Plan({"w1", "w2"}, {{"a", 3}, {"b", 1}}, before), before);
}

TEST(Plan, ManySmallJobsAreEvenTogether) {
  std::vector<PlanJob> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back({"job" + std::to_string(i), 1});
  for (const auto& [name, count] : Counts({"w1", "w2"}, Plan({"w1", "w2"}, jobs, {}))) {
    EXPECT_EQ(count, 5u) << name;
  }
}

TEST(Plan, MorePartitionsThanBeforeAndWorkersWithoutWorkAreFine) {
  const Owners before = {{"a", {"w3"}}};
  EXPECT_THAT(Plan({"w1", "w2", "w3"}, {{"a", 2}}, before)["a"], ElementsAre("w3", "w1"));
}

TEST(Plan, RandomScalingStaysEvenMovesTheMinimumAndIgnoresOrder) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    Owners previous;
    for (int round = 0; round < 8; ++round) {
      std::vector<std::string> workers;
      for (const std::string& name : Names(12)) {
        if (random() % 3 != 0) workers.push_back(name);
      }
      if (workers.empty()) workers.push_back("worker-1");
      std::vector<PlanJob> jobs;
      for (int j = 0; j < 5; ++j) {
        if (random() % 4 != 0) jobs.push_back({"job" + std::to_string(j), static_cast<uint32_t>(3 + j * 7)});
      }
      const Owners next = Plan(workers, jobs, previous);
      const auto counts = Counts(workers, next);
      ASSERT_EQ(counts.size(), workers.size()) << "somebody else owns a partition";
      const auto [least, most] = std::minmax_element(
          counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
      ASSERT_LE(most->second - least->second, 1u);
      ASSERT_EQ(MovesOfLiveOwners(workers, previous, next), FewestMoves(workers, jobs, previous));
      std::shuffle(workers.begin(), workers.end(), random);
      std::shuffle(jobs.begin(), jobs.end(), random);
      ASSERT_EQ(Plan(workers, jobs, previous), next);
      previous = next;
    }
  }
}

TEST(Plan, ScalesToAThousandPartitionsOnAHundredWorkers) {
  const std::vector<PlanJob> jobs = {{"a", 500}, {"b", 300}, {"c", 200}};
  const Owners before = Plan(Names(100), jobs, {});
  const Owners after = Plan(Names(90), jobs, before);
  EXPECT_EQ(MovesOfLiveOwners(Names(90), before, after), FewestMoves(Names(90), jobs, before));
}

}  // namespace
}  // namespace millrace
