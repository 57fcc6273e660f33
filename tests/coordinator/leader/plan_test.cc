#include "coordinator/leader/plan.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

std::map<std::string, size_t> Counts(const std::vector<std::string>& workers, const Owners& owners) {
  std::map<std::string, size_t> counts;
  for (const std::string& worker : workers) counts[worker] = 0;
  for (const auto& [uid, names] : owners) {
    for (const std::string& name : names) ++counts[name];
  }
  return counts;
}

// Without bound on moves, in no zone.
Owners PlanAll(const std::vector<std::string>& names, std::vector<PlanJob> jobs, const Owners& previous) {
  std::vector<PlanWorker> workers;
  for (const std::string& name : names) workers.push_back({name});
  return Plan(std::move(workers), std::move(jobs), previous, SIZE_MAX);
}

TEST(Plan, WithoutWorkersNobodyOwnsAnything) {
  EXPECT_THAT(PlanAll({}, {{"a", 2}}, {})["a"], ElementsAre("", ""));
}

TEST(Plan, WithoutJobsThereIsNothingToOwn) { EXPECT_TRUE(PlanAll({"w"}, {}, {{"gone", {"w"}}}).empty()); }

TEST(Plan, TwoWorkersShareAJobEvenly) {
  EXPECT_THAT(PlanAll({"w2", "w1"}, {{"a", 4}}, {})["a"], ElementsAre("w1", "w2", "w1", "w2"));
}

TEST(Plan, AWorkerThatIsLostLosesOnlyItsOwn) {
  const Owners before = {{"a", {"w1", "w2", "w3", "w1", "w2", "w3"}}};
  EXPECT_THAT(PlanAll({"w1", "w3"}, {{"a", 6}}, before)["a"],
              ElementsAre("w1", "w1", "w3", "w1", "w3", "w3"));
}

TEST(Plan, AWorkerThatJoinsTakesItsShareAndNoMore) {
  const Owners before = {{"a", {"w1", "w2", "w1", "w2", "w1", "w2"}}};
  const Owners after = PlanAll({"w1", "w2", "w3"}, {{"a", 6}}, before);
  EXPECT_EQ(CountMoves(before, after), 2u);
  EXPECT_THAT(after.at("a"), ElementsAre("w1", "w2", "w1", "w2", "w3", "w3"));
}

TEST(Plan, EverySegmentOfAJobIsSpread) {
  const Owners owners = PlanAll({"w1", "w2"}, {{"a", 4, {2, 2}}}, {});
  ASSERT_EQ(owners.at("a").size(), 8u);
  for (const size_t first : {0, 2, 4, 6}) {
    EXPECT_NE(owners.at("a")[first], owners.at("a")[first + 1]) << "partitions " << first << " and the next";
  }
  EXPECT_EQ(PlanAll({"w1", "w2"}, {{"a", 4, {2, 2}}}, owners), owners);
  const Owners grown = PlanAll({"w1", "w2", "w3", "w4"}, {{"a", 4, {2, 2}}}, owners);
  EXPECT_EQ(CountMoves(owners, grown), 4u);
  EXPECT_EQ(PlanAll({}, {{"a", 4, {2, 2}}}, owners).at("a"), std::vector<std::string>(8));
}

TEST(Plan, AWorkerThatComesBackGetsWhatItHadBefore) {
  const Owners had = {{"a", {"w1", "w2", "w1", "w2"}}, {"b", {"w2", "w1"}}};
  const Owners now = {{"a", {"w2", "w2", "w2", "w2"}}, {"b", {"w2", "w2"}}};
  const Owners before = {{"a", {"w1", "", "w1", ""}}, {"b", {"", "w1"}}};
  const std::vector<PlanWorker> workers = {{"w1"}, {"w2"}};
  EXPECT_EQ(Plan(workers, {{"a", 4}, {"b", 2}}, now, SIZE_MAX, before), had);
  // Likewise where loads differ by less than what moves anything.
  EXPECT_EQ(Plan(workers, {{"a", 4, {}, {100, 110, 95, 90}}, {"b", 2, {}, {95, 105}}}, now, SIZE_MAX, before),
            had);
}

TEST(Plan, WhatAWorkerHadBeforeMovesNothingThatStandsEvenly) {
  const Owners now = {{"a", {"w1", "w2"}}};
  EXPECT_EQ(Plan({{"w1"}, {"w2"}}, {{"a", 2}}, now, SIZE_MAX, {{"a", {"w2", "w1"}}}), now);
}

TEST(Plan, NothingMovesWhenAnEvenPlanStands) {
  const Owners before = {{"a", {"w2", "w1", "w1"}}, {"b", {"w2"}}};
  EXPECT_EQ(PlanAll({"w1", "w2"}, {{"a", 3}, {"b", 1}}, before), before);
}

TEST(Plan, ManySmallJobsAreEvenTogether) {
  std::vector<PlanJob> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back({"job" + std::to_string(i), 1});
  for (const auto& [name, count] : Counts({"w1", "w2"}, PlanAll({"w1", "w2"}, jobs, {}))) {
    EXPECT_EQ(count, 5u) << name;
  }
}

TEST(Plan, MorePartitionsThanBeforeAndWorkersWithoutWorkAreFine) {
  const Owners before = {{"a", {"w3"}}};
  EXPECT_THAT(PlanAll({"w1", "w2", "w3"}, {{"a", 2}}, before)["a"], ElementsAre("w3", "w1"));
}

TEST(Plan, MovesNoMoreThanItMayAndGoesOnFromThere) {
  const Owners before = {{"a", std::vector<std::string>(40, "w1")}};
  const std::vector<PlanWorker> workers = {{"w1"}, {"w2"}};
  Owners now = before;
  for (const size_t left : {20u, 12u, 4u, 0u}) {
    const Owners next = Plan(workers, {{"a", 40}}, now, 8);
    EXPECT_EQ(CountMoves(now, next), std::min<size_t>(left, 8));
    now = next;
  }
}

TEST(Plan, PartitionsThatNobodyHasArePlacedWhateverTheBound) {
  const Owners before = {{"a", std::vector<std::string>(40, "gone")}};
  const Owners after = Plan({{"w1"}, {"w2"}}, {{"a", 40}}, before, 0);
  EXPECT_THAT(Counts({"w1", "w2"}, after), ElementsAre(testing::Pair("w1", 20), testing::Pair("w2", 20)));
}

TEST(Plan, ADrainingWorkerLosesWhatItHasAsFarAsTheBoundGoesAndGetsNothing) {
  const Owners before = {{"a", {"w1", "w1", "w1", "w2"}}};
  const std::vector<PlanWorker> workers = {{"w1", "", /*drains=*/true}, {"w2"}};
  EXPECT_EQ(CountMoves(before, Plan(workers, {{"a", 6}}, before, 2)), 2u);
  EXPECT_EQ(Counts({"w1", "w2"}, Plan(workers, {{"a", 6}}, before, 2))["w1"], 1u);
  EXPECT_EQ(Counts({"w1", "w2"}, Plan(workers, {{"a", 6}}, before, 9))["w1"], 0u);
}

TEST(Plan, WhenAllDrainNobodyOwnsAnything) {
  EXPECT_THAT(Plan({{"w1", "", true}}, {{"a", 2}}, {{"a", {"w1", "w1"}}}, 0)["a"], ElementsAre("", ""));
}

TEST(Plan, ABusyPartitionHasItsWorkerMoreToItself) {
  // One partition has as much to do as the seven others together.
  const PlanJob job{"a", 8, {}, {700, 100, 100, 100, 100, 100, 100, 100}};
  const Owners after = Plan({{"w1"}, {"w2"}}, {job}, {}, SIZE_MAX);
  const std::string& busy = after.at("a")[0];
  EXPECT_LE(Counts({"w1", "w2"}, after)[busy], 3u);
}

TEST(Plan, LoadsThatDifferALittleMoveNothing) {
  const Owners before = {{"a", {"w1", "w2", "w1", "w2"}}};
  EXPECT_EQ(Plan({{"w1"}, {"w2"}}, {{"a", 4, {}, {100, 90, 105, 95}}}, before, SIZE_MAX), before);
}

TEST(Plan, OnePartitionTooBusyForAnyoneDoesNotKeepTheOthersFromBeingLevelled) {
  const Owners before = {{"a", {"w1", "w2", "w2", "w2", "w2", "w2", "w2"}}};
  const PlanJob job{"a", 7, {}, {10000, 100, 100, 100, 100, 100, 100}};
  const Owners after = Plan({{"w1"}, {"w2"}, {"w3"}}, {job}, before, SIZE_MAX);
  EXPECT_EQ(after.at("a")[0], "w1");
  EXPECT_EQ(Counts({"w1", "w2", "w3"}, after)["w3"], 3u);
}

TEST(Plan, AnUnknownLoadIsTakenForAMeanOne) {
  const Owners after = Plan({{"w1"}, {"w2"}}, {{"a", 4, {}, {100, -1}}}, {}, SIZE_MAX);
  EXPECT_THAT(Counts({"w1", "w2"}, after), ElementsAre(testing::Pair("w1", 2), testing::Pair("w2", 2)));
}

TEST(Plan, AJobIsSpreadOverZonesBeforeItIsSpreadOverAZonesWorkers) {
  const std::vector<PlanWorker> workers = {{"w1", "east"}, {"w2", "east"}, {"w3", "west"}, {"w4", "west"}};
  EXPECT_THAT(Plan(workers, {{"a", 2}, {"b", 2}}, {}, SIZE_MAX)["a"], ElementsAre("w1", "w3"));
  EXPECT_THAT(Plan(workers, {{"a", 2}, {"b", 2}}, {}, SIZE_MAX)["b"], ElementsAre("w2", "w4"));
}

Owners PlanWithStandbys(std::vector<PlanWorker> workers, const Owners& previous, const Owners& standbys) {
  return Plan(std::move(workers), {{"a", static_cast<uint32_t>(previous.at("a").size())}}, previous, SIZE_MAX,
              {}, standbys);
}

TEST(Plan, WhatAWorkerThatIsLostHadGoesToItsStandbys) {
  const Owners previous = {{"a", {"w1", "w1", "w2", "w2", "w3", "w3"}}};
  const Owners standbys = {{"a", {"w3", "w2", "w3", "w3", "w1", "w1"}}};
  EXPECT_THAT(PlanWithStandbys({{"w2"}, {"w3"}}, previous, standbys)["a"],
              ElementsAre("w3", "w2", "w2", "w2", "w3", "w3"));
}

TEST(Plan, ADrainingWorkerGivesToStandbysThatServe) {
  const Owners previous = {{"a", {"w1", "w1"}}};
  const Owners standbys = {{"a", {"w3", "w2"}}};
  const PlanWorker draining{"w1", "", true}, also_draining{"w3", "", true};
  EXPECT_THAT(PlanWithStandbys({draining, {"w2"}, {"w3"}}, previous, standbys)["a"], ElementsAre("w3", "w2"));
  EXPECT_THAT(PlanWithStandbys({draining, {"w2"}, also_draining}, previous, standbys)["a"],
              ElementsAre("w2", "w2"));
}

TEST(Plan, WhatHasGoneToItsStandbyIsNotMovedOnAtOnce) {
  const Owners previous = {{"a", {"w1", "w1", "w1", "w1"}}};
  const Owners standbys = {{"a", {"w2", "w2", "w2", "w2"}}};
  const Owners taken = PlanWithStandbys({{"w2"}, {"w3"}}, previous, standbys);
  EXPECT_THAT(taken.at("a"), ElementsAre("w2", "w2", "w2", "w2"));
  EXPECT_THAT(PlanWithStandbys({{"w2"}, {"w3"}}, taken, standbys)["a"], ElementsAre("w2", "w2", "w3", "w3"));
}

}  // namespace
}  // namespace millrace
