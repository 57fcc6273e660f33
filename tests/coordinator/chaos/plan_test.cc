#include "coordinator/chaos/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "coordinator/chaos/presets.h"

namespace millrace::chaos {
namespace {

Scenario PresetScenario(std::string_view name) {
  const auto preset = FindPreset(name);
  const auto scenario = ParseScenario(name, preset.ok() ? preset->text : "");
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

TEST(ChaosPlan, TheSameSeedGivesTheSamePlan) {
  for (const Preset& preset : Presets()) {
    const Scenario scenario = PresetScenario(preset.name);
    EXPECT_EQ(Plan(scenario, 42), Plan(scenario, 42)) << preset.name;
  }
}

TEST(ChaosPlan, IsTheSameOnEveryMachine) {
  const auto plan = Plan(PresetScenario("quick"), 7);
  std::vector<std::string> lines;
  for (const PlannedFault& fault : plan) lines.push_back(Describe(fault));
  EXPECT_THAT(lines,
              ::testing::ElementsAre("kill worker-1", "kill worker-1 at in_commit:27",
                                     "repeat_frame of ledger-native, partition 2", "terminate worker-1"));
}

TEST(ChaosPlan, AnotherSeedGivesAnotherPlan) {
  const Scenario scenario = PresetScenario("kills");
  std::set<std::string> plans;
  for (uint64_t seed = 0; seed < 50; ++seed) plans.insert(ToJson(Plan(scenario, seed)).dump());
  EXPECT_EQ(plans.size(), 50u);
}

TEST(ChaosPlan, OneMoreFaultChangesNothingOfTheOthers) {
  Scenario scenario = PresetScenario("broker");
  const auto before = Plan(scenario, 3);
  FaultSpec kills;
  kills.count = 5;
  scenario.faults.push_back(kills);
  auto after = Plan(scenario, 3);
  std::erase_if(after, [](const PlannedFault& fault) { return fault.kind == FaultKind::kKill; });
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    after[i].number = before[i].number;
    EXPECT_EQ(after[i], before[i]);
  }
}

TEST(ChaosPlan, TimesRiseAndLieWithinTheLoad) {
  for (const Preset& preset : Presets()) {
    const Scenario scenario = PresetScenario(preset.name);
    for (uint64_t seed = 0; seed < 20; ++seed) {
      absl::Duration last = absl::ZeroDuration();
      int number = 0;
      for (const PlannedFault& fault : Plan(scenario, seed)) {
        EXPECT_GE(fault.at, last);
        EXPECT_LE(fault.at, scenario.load.duration) << preset.name;
        EXPECT_EQ(fault.number, ++number);
        EXPECT_LT(fault.worker, scenario.cluster.workers);
        EXPECT_LT(fault.partition, scenario.load.partitions);
        last = fault.at;
      }
    }
  }
}

TEST(ChaosPlan, ASubmitDiesWhereItComesPast) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const PlannedFault& fault : Plan(PresetScenario("ingest"), seed)) {
      const bool once = fault.point == "ingest_after_claim" || fault.point == "ingest_after_epoch_marks";
      EXPECT_TRUE(!once || fault.passing == 1) << "seed " << seed << ": " << Describe(fault);
    }
  }
}

TEST(ChaosPlan, BrokersAreThoseOfTheCluster) {
  std::set<int64_t> hit;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(Plan(PresetScenario("broker"), seed)[0].broker, 0) << "the only one";
    for (const PlannedFault& fault : Plan(PresetScenario("minority"), seed)) {
      if (fault.kind == FaultKind::kKillBroker) hit.insert(fault.broker);
    }
  }
  EXPECT_EQ(hit, (std::set<int64_t>{0, 1, 2}));
}

TEST(ChaosPlan, ClocksJumpForwardAndBack) {
  std::set<absl::Duration> jumps;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const PlannedFault& fault : Plan(PresetScenario("clocks"), seed)) {
      if (fault.kind == FaultKind::kClockJump) jumps.insert(fault.by);
    }
  }
  EXPECT_EQ(jumps, (std::set<absl::Duration>{-absl::Hours(1), absl::Hours(1)}));
}

TEST(ChaosPlan, PointsComeInTurn) {
  Scenario scenario;
  scenario.name = "x";
  FaultSpec kill;
  kill.count = 6;
  kill.points = {"in_commit", "after_step", "before_pull"};
  scenario.faults = {kill};
  std::multiset<std::string> points;
  for (const PlannedFault& fault : Plan(scenario, 1)) points.insert(fault.point);
  for (const std::string& point : kill.points) EXPECT_EQ(points.count(point), 2u);
}

}  // namespace
}  // namespace millrace::chaos
