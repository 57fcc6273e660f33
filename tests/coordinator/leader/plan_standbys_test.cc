#include "coordinator/leader/plan_standbys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace millrace {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

PlanWorker Storing(const std::string& name, const std::string& zone = "") {
  return {name, zone, false, 1, true};
}

std::vector<PlanWorker> ThreeStoring() { return {Storing("w1"), Storing("w2"), Storing("w3")}; }

std::vector<std::string> StandbysFor(const std::vector<PlanWorker>& workers,
                                     const std::vector<std::string>& owners,
                                     const std::vector<std::string>& previous = {}) {
  return PlanStandbys(workers, {"a"}, {{"a", owners}}, {{"a", previous}})["a"];
}

TEST(PlanStandbys, AJobThatWantsNoneHasNone) {
  EXPECT_TRUE(PlanStandbys(ThreeStoring(), {}, {{"a", {"w1"}}}, {{"a", {"w2"}}}).empty());
}

TEST(PlanStandbys, NobodyStandsByForItself) {
  EXPECT_THAT(StandbysFor({Storing("w1"), Storing("w2")}, {"w1", "w2", "w1"}), ElementsAre("w2", "w1", "w2"));
  EXPECT_THAT(StandbysFor({Storing("w1")}, {"w1", "w1"}), Each(""));
}

TEST(PlanStandbys, CopiesAreEven) {
  const std::vector<std::string> standbys = StandbysFor(ThreeStoring(), {"w1", "w2", "w3", "w1", "w2", "w3"});
  for (const char* name : {"w1", "w2", "w3"}) {
    EXPECT_EQ(std::count(standbys.begin(), standbys.end(), name), 2) << name;
  }
}

TEST(PlanStandbys, OneWithoutAStoreAndOneThatDrainsKeepNone) {
  std::vector<PlanWorker> workers = ThreeStoring();
  workers[1].checkpoints = false;
  EXPECT_THAT(StandbysFor(workers, {"w1", "w1"}), Each("w3"));
  workers[2].drains = true;
  EXPECT_THAT(StandbysFor(workers, {"w1", "w1"}, {"w3", "w2"}), Each(""));
}

TEST(PlanStandbys, AnotherZoneIsPreferredHoweverManyCopiesItsWorkersHave) {
  const std::vector<PlanWorker> workers = {Storing("w1", "east"), Storing("w2", "east"),
                                           Storing("w3", "west")};
  EXPECT_THAT(StandbysFor(workers, {"w1", "w1", "w2", "w2"}), Each("w3"));
  EXPECT_THAT(StandbysFor(workers, {"w3", "w3", "w3", "w3"}), ElementsAre("w1", "w2", "w1", "w2"));
  EXPECT_THAT(StandbysFor(workers, {"w1", "w1"}, {"w2", "w3"}), Each("w3")) << "one that is near gives way";
}

TEST(PlanStandbys, WhoHasACopyKeepsIt) {
  const std::vector<std::string> owners = {"w1", "w1", "w2", "w2", "w3", "w3"};
  const std::vector<std::string> previous = {"w3", "w2", "w1", "w3", "w2", "w1"};
  EXPECT_EQ(StandbysFor(ThreeStoring(), owners, previous), previous);
}

TEST(PlanStandbys, OnlyWhatALostWorkerKeptGoesElsewhere) {
  EXPECT_THAT(StandbysFor({Storing("w1"), Storing("w2")}, {"w1", "w1", "w2", "w2"}, {"w3", "w2", "w1", "w3"}),
              ElementsAre("w2", "w2", "w1", "w1"));
}

TEST(PlanStandbys, WhenTheStandbyBecomesTheOwnerAnotherFollows) {
  EXPECT_THAT(StandbysFor(ThreeStoring(), {"w2", "w2"}, {"w2", "w3"}), ElementsAre("w1", "w3"));
}

TEST(PlanStandbys, AWorkerThatJoinsTakesItsShareAndNoMore) {
  const std::vector<std::string> owners = {"w1", "w1", "w1", "w2", "w2", "w2"};
  const std::vector<std::string> previous = {"w2", "w2", "w2", "w1", "w1", "w1"};
  const std::vector<std::string> after = StandbysFor(ThreeStoring(), owners, previous);
  EXPECT_EQ(std::count(after.begin(), after.end(), "w3"), 2);
  EXPECT_EQ(std::count(after.begin(), after.end(), "w1"), 2);
  EXPECT_EQ(StandbysFor(ThreeStoring(), owners, after), after) << "it rests";
}

TEST(PlanStandbys, TheOrderOfTheArgumentsDoesNotMatter) {
  const Owners owners = {{"a", {"w1", "w2"}}, {"b", {"w3", "w1"}}};
  std::vector<PlanWorker> workers = ThreeStoring();
  const Owners planned = PlanStandbys(workers, {"a", "b"}, owners, {});
  std::reverse(workers.begin(), workers.end());
  EXPECT_EQ(PlanStandbys(workers, {"b", "a"}, owners, {}), planned);
}

}  // namespace
}  // namespace millrace
