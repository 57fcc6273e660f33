#include "coordinator/chaos/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/strings.h"
#include "coordinator/chaos/presets.h"

namespace millrace::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ScenarioError(std::string_view text) {
  const auto scenario = ParseScenario("mine.yaml", text);
  EXPECT_EQ(scenario.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(ToStd(scenario.status().message()));
}

Scenario ParsedScenario(std::string_view text) {
  const auto scenario = ParseScenario("mine.yaml", text);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

TEST(ChaosScenario, FillsInWhatIsNotSaid) {
  const Scenario scenario = ParsedScenario("name: small\nfaults: [ { kind: pause } ]\n");
  EXPECT_EQ(scenario.cluster.workers, 2);
  EXPECT_EQ(scenario.load.records(), 4000 * 30);
  ASSERT_EQ(scenario.faults.size(), 1u);
  EXPECT_EQ(scenario.faults[0].kind, FaultKind::kPause);
  EXPECT_EQ(scenario.faults[0].count, 1);
  EXPECT_EQ(scenario.faults[0].duration, absl::Seconds(6)) << "three leases";
}

TEST(ChaosScenario, ReadsEveryField) {
  const Scenario scenario = ParsedScenario(R"(
name: full
about: all of it
cluster: { workers: 3, coordinators: 2, brokers: 3, lease: 3s, checkpoints: 5s, recovery: 40s }
load: { rate: 100, duration: 1m, keys: 7, partitions: 5, hot: 0.9, commit: 1s }
faults:
  - { kind: kill, at_point: in_commit, when: 1s, every: 2s, count: 3, duration: 4s }
  - { kind: kill_ingest, at_point: [ingest_after_claim, ingest_after_append], count: 2 }
  - { kind: cut_off, way: to_server }
  - { kind: slow_link, delay: 20ms, duration: 1s }
  - { kind: lossy_link, loss: 0.5 }
  - { kind: scale, workers: 6 }
  - { kind: kill_broker, brokers: 2 }
  - { kind: clock_jump, by: 2h }
)");
  EXPECT_EQ(scenario.cluster.coordinators, 2);
  EXPECT_EQ(scenario.cluster.checkpoints, absl::Seconds(5));
  EXPECT_EQ(scenario.cluster.recovery, absl::Seconds(40));
  EXPECT_EQ(scenario.load.partitions, 5u);
  EXPECT_EQ(scenario.load.hot, 0.9);
  EXPECT_EQ(scenario.cluster.brokers, 3);
  ASSERT_EQ(scenario.faults.size(), 8u);
  EXPECT_THAT(scenario.faults[0].points, ElementsAre("in_commit"));
  EXPECT_EQ(scenario.faults[0].when, absl::Seconds(1));
  EXPECT_EQ(scenario.faults[0].every, absl::Seconds(2));
  EXPECT_THAT(scenario.faults[1].points, ElementsAre("ingest_after_claim", "ingest_after_append"));
  EXPECT_EQ(scenario.faults[2].way, Way::kToServer);
  EXPECT_EQ(scenario.faults[3].delay, absl::Milliseconds(20));
  EXPECT_EQ(scenario.faults[4].loss, 0.5);
  EXPECT_EQ(scenario.faults[5].workers, 6);
  EXPECT_EQ(scenario.faults[6].brokers, 2);
  EXPECT_EQ(scenario.faults[7].by, absl::Hours(2));
}

struct WrongScenario {
  std::string text, place, says;
};

TEST(ChaosScenario, SaysWhereItIsWrongAndWhatWasMeant) {
  const std::string head = "name: x\nfaults:\n  - ";
  for (const WrongScenario& wrong : std::vector<WrongScenario>{
           {"faults: [ { kind: kill } ]", "mine.yaml:1:1: ", "`name` is missing"},
           {"name: x", "mine.yaml:1:1: ", "`faults` is missing"},
           {"name: x\nfaults: []", "mine.yaml:2:9: ", "at least one fault"},
           {"nme: x\nfaults: [ { kind: kill } ]", "mine.yaml:1:1: ", "did you mean `name`?"},
           {head + "{ kind: kil }", "mine.yaml:3:13: ", "did you mean `kill`?"},
           {head + "{ kind: kill_brokr }", "mine.yaml:3:13: ", "did you mean `kill_broker`?"},
           {head + "{ kind: kill, at_pont: in_commit }", "mine.yaml:3:19: ", "did you mean `at_point`?"},
           {head + "{ kind: kill, at_point: in_comit }", "mine.yaml:3:29: ", "did you mean `in_commit`?"},
           {head + "{ kind: kill, at_point: ingest_after_claim }",
            "mine.yaml:3:29: ", "no point has that name"},
           {head + "{ kind: kill, delay: 1s }", "mine.yaml:3:19: ", "`kill` has no such key"},
           {head + "{ kind: cut_off, way: up }", "mine.yaml:3:27: ", "both, to_server, from_server"},
           {head + "{ kind: kill, count: 0 }", "mine.yaml:3:26: ", "a whole number from 1"},
           {head + "{ kind: kill, when: 31s }", "mine.yaml:3:25: ", "`when` is `31s`"},
           {head + "{ kind: kill, every: 20s, count: 2 }", "mine.yaml:3:26: ", "the load ends at 30s"},
           {head + "{ kind: pause, duration: 2s }", "mine.yaml:3:30: ", "nobody would take over"},
           {head + "{ kind: lossy_link, loss: 2 }", "mine.yaml:3:31: ", "a share from 0 to 1"},
           {head + "{ kind: bad_checkpoint }", "mine.yaml:3:5: ", "without checkpoints"},
           {head + "{ kind: kill, at_point: in_upload }",
            "mine.yaml:3:5: ", "try `cluster: { checkpoints: 2s }`"},
           {head + "{ kind: pause_leader }", "mine.yaml:3:5: ", "no other could lead"},
           {head + "{ kind: step_down }", "mine.yaml:3:5: ", "with one broker"},
           {head + "{ kind: kill_broker, brokers: 2 }", "mine.yaml:3:5: ", "the cluster has 1"},
           {"name: x\ncluster: { brokers: 2 }\nfaults: [ { kind: kill } ]", "mine.yaml:2:21: ", "1, 3"},
           {"name: x\ncluster: { replicas: 3 }\nfaults: [ { kind: kill } ]",
            "mine.yaml:2:12: ", "`brokers: 3`"},
           {"name: x\ncluster: { workers: 1 }\nfaults: [ { kind: zombie } ]",
            "mine.yaml:3:11: ", "no other could take over"},
           {"name: x\nload: { records: 7 }\nfaults: [ { kind: kill } ]", "mine.yaml:2:9: ", "`rate`"}}) {
    const std::string error = ScenarioError(wrong.text);
    EXPECT_THAT(error, StartsWith(wrong.place)) << wrong.text;
    EXPECT_THAT(error, HasSubstr(wrong.says)) << wrong.text;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(ChaosScenario, KillsAreDealtOutInProportion) {
  const Scenario scenario = ParsedScenario(
      "name: x\nload: { duration: 20s }\nfaults:\n  - { kind: kill, count: 6, when: 1s, every: 1s }\n"
      "  - { kind: kill_all, count: 2 }\n  - { kind: slow_link, count: 4 }\n");
  const auto more = WithKills(scenario, 81);
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(more->faults[0].count + more->faults[1].count, 81);
  EXPECT_EQ(more->faults[1].count, 20);
  EXPECT_EQ(more->faults[2].count, 41) << "the others in proportion";
  EXPECT_FALSE(more->faults[0].when.has_value()) << "spread over the longer load";
  EXPECT_EQ(more->load.duration, absl::Seconds(20) * 81 / 8);
  const auto one = WithKills(scenario, 1);
  ASSERT_TRUE(one.ok());
  int64_t kills = 0;
  for (const FaultSpec& fault : one->faults) kills += fault.kind == FaultKind::kSlowLink ? 0 : fault.count;
  EXPECT_EQ(kills, 1);
}

TEST(ChaosScenario, WithoutAKillThereIsNothingToDealOut) {
  const auto none = WithKills(ParsedScenario("name: x\nfaults: [ { kind: slow_link } ]"), 5);
  EXPECT_EQ(none.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ChaosScenario, ALoadIsNotCutBeforeItsFaults) {
  const Scenario scenario =
      ParsedScenario("name: x\nfaults: [ { kind: kill, when: 10s, every: 5s, count: 3 } ]");
  EXPECT_FALSE(WithDuration(scenario, absl::Seconds(19)).ok());
  const auto longer = WithDuration(scenario, absl::Seconds(20));
  ASSERT_TRUE(longer.ok());
  EXPECT_EQ(longer->load.duration, absl::Seconds(20));
}

TEST(ChaosPresets, EachParsesAndIsNamedAsItsFile) {
  EXPECT_GE(Presets().size(), 10u);
  for (const Preset& preset : Presets()) {
    const auto scenario = ParseScenario(preset.name, preset.text);
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    EXPECT_EQ(scenario->name, preset.name);
    EXPECT_FALSE(scenario->about.empty());
  }
}

TEST(ChaosPresets, EveryKindOfFaultIsInOne) {
  std::vector<bool> seen(kFaultKinds);
  for (const Preset& preset : Presets()) {
    for (const FaultSpec& fault : ParsedScenario(preset.text).faults)
      seen[static_cast<size_t>(fault.kind)] = true;
  }
  for (int kind = 0; kind < kFaultKinds; ++kind) {
    EXPECT_TRUE(seen[static_cast<size_t>(kind)]) << KindName(static_cast<FaultKind>(kind));
  }
}

TEST(ChaosPresets, ANearMissIsNamed) {
  EXPECT_THAT(std::string(FindPreset("kils").status().message()), HasSubstr("did you mean `kills`?"));
}

}  // namespace
}  // namespace millrace::chaos
