// Partitions whose stages have handlers: owners, handlers and the broker's answers in any order, and killed.
#include "worker/partition/partition_calls.h"

#include <map>
#include <random>

#include "common/job/job_parser.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/partition/partition_harness.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

JobSpec Totals(const std::string& more = "") {
  absl::StatusOr<JobSpec> spec =
      ParseJob("job.yaml", StrCat("name: j\nkey: k\npartitions: 1\ncommit: { interval: 10ms }\nstages:\n"
                                  "  - keyed: { remote: 'ipc:///run/{worker}.sock' }\n    name: total\n",
                                  more));
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *spec;
}

// What must come of records of which those with a deed are dead letters.
std::vector<std::string> Expected(const std::vector<PartitionWorld::Record>& records) {
  std::map<std::string, int64_t> totals;
  std::vector<std::string> lines;
  for (const PartitionWorld::Record& record : records) {
    if (record.group == "fail" || record.group == "die") continue;
    totals[record.key] += record.value;
    lines.push_back(StrCat(record.key, " {\"total\":", totals[record.key], "}"));
  }
  return lines;
}
std::vector<std::string> Lines(const std::vector<Output>& outputs) {
  std::vector<std::string> lines;
  for (const Output& output : outputs) lines.push_back(StrCat(output.key, " ", output.value_json));
  return lines;
}

uint64_t DeadLetters(PartitionWorld& world) {
  const std::unique_ptr<MemoryBus> bus = world.broker.Connect();
  const auto info = bus->GetStream(DeadLetterStream("j"));
  return info.ok() ? info->last_sequence : 0;
}

TEST(PartitionCallsTest, RunsAJobToItsEnd) {
  PartitionWorld world(Totals());
  std::vector<PartitionWorld::Record> records = {{"a", 1}, {"b", 2}, {"a", 3}, {"a", 4, "fail"}, {"a", 5}};
  world.Feed(records);
  world.Feed({{"b", 10}});
  records.push_back({"b", 10});
  world.FeedEnd();
  PartitionOwner owner(world, "one");
  ASSERT_EQ(owner.opened(), absl::OkStatus());
  std::mt19937_64 random(1);
  ASSERT_TRUE(owner.RunToEnd(random));
  EXPECT_EQ(Lines(world.Results()), Expected(records));
  EXPECT_EQ(DeadLetters(world), 1U);
}

TEST(PartitionCallsTest, TheCallsOfMessagesBehindAreMadeWhileTheFirstWaits) {
  PartitionWorld world(Totals());
  PartitionOwner* at_work = nullptr;
  std::vector<uint64_t> applied;  // when each call was made
  world.handlers.deed = [&](const nlohmann::json&) {
    applied.push_back(at_work->partition().offset().value());
    return "";
  };
  world.Feed({{"a", 1}, {"b", 1}});
  world.Feed({{"a", 2}});
  world.Feed({{"c", 3}, {"a", 4}});
  PartitionOwner owner(world, "one");
  ASSERT_EQ(owner.opened(), absl::OkStatus());
  at_work = &owner;
  while (owner.DeliverOne()) {
  }
  owner.Work();
  const uint64_t before = owner.partition().offset().value();
  for (int i = 0; i < 100 && applied.size() < 5; ++i) owner.RunHandlers();
  EXPECT_THAT(applied, testing::Each(before));
  owner.Work();
  EXPECT_EQ(owner.partition().offset().value(), before + 3);
  EXPECT_EQ(applied.size(), 5U);
}

TEST(PartitionCallsTest, WithoutHandlersItSaysWhatItWaitsForAndCommitsWhatIsDone) {
  PartitionWorld world(Totals("  - filter: 'true'\n"));
  world.handlers.processes = 0;
  world.Feed({{"a", 1}});
  PartitionOwner owner(world, "one");
  ASSERT_EQ(owner.opened(), absl::OkStatus());
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) owner.Step(random);
  EXPECT_EQ(owner.partition().Report().state, "running");
  EXPECT_THAT(owner.partition().Report().reason, HasSubstr("stage total waits for a handler"));
  // The messages before the one that waits: the epoch marks.
  EXPECT_EQ(owner.partition().Report().committed_offset, owner.partition().offset().value());
  EXPECT_EQ(owner.partition().Report().records_in, 0U);
}

TEST(PartitionCallsTest, ACommitBesideAMessageThatWaitsStandsBeforeIt) {
  PartitionWorld world(Totals());
  world.Feed({{"a", 1}});
  std::mt19937_64 random(1);
  {
    PartitionOwner owner(world, "one");
    const auto committed = [&] {
      const PartitionReport report = owner.partition().Report();
      return report.records_in == 1 && report.committed_offset == owner.partition().offset().value();
    };
    for (int i = 0; i < 20'000 && !committed(); ++i) owner.Step(random);
    ASSERT_TRUE(committed());
  }
  world.handlers.processes = 0;
  world.Feed({{"a", 2}});
  {
    PartitionOwner owner(world, "one");
    for (int i = 0; i < 2000; ++i) owner.Step(random);
    EXPECT_EQ(owner.partition().Report().records_in, 1U);
    EXPECT_EQ(owner.partition().Report().committed_offset, owner.partition().offset().value());
  }  // killed behind that commit
  world.handlers.processes = 1;
  world.FeedEnd();
  PartitionOwner heir(world, "one");
  ASSERT_TRUE(heir.RunToEnd(random));
  EXPECT_THAT(Lines(world.Results()), ElementsAre("a {\"total\":1}", "a {\"total\":3}"));
}

TEST(PartitionCallsTest, WhatAHandlerFailsAtIsWrittenDownBeforeItIsADeadLetter) {
  PartitionWorld world(Totals());
  world.Feed({{"a", 1, "fail"}, {"a", 2}});
  std::mt19937_64 random(3);
  {
    PartitionOwner owner(world, "one");
    for (int i = 0; i < 20'000 && world.Results().empty(); ++i) owner.Step(random);
    ASSERT_EQ(world.Results().size(), 1U);
  }
  // The heir has no state, and its handlers would take that record: what was decided stays.
  world.handlers.deed = [](const nlohmann::json&) { return ""; };
  world.FeedEnd();
  PartitionOwner heir(world, "two");
  ASSERT_TRUE(heir.RunToEnd(random));
  EXPECT_THAT(Lines(world.Results()), ElementsAre("a {\"total\":2}"));
}

TEST(PartitionCallsTest, WhatWentWellBeforeHasToGoWellAgain) {
  PartitionWorld world(Totals());
  world.Feed({{"a", 1}, {"a", 2}});
  std::mt19937_64 random(4);
  {
    PartitionOwner owner(world, "one");
    for (int i = 0; i < 20'000 && world.Results().size() < 2; ++i) owner.Step(random);
    ASSERT_EQ(world.Results().size(), 2U);
  }
  int failures = 0;
  world.handlers.deed = [&](const nlohmann::json& value) {
    return value["v"] == 1 && failures++ < 3 ? "fail" : "";
  };
  world.Feed({{"a", 4}});
  world.FeedEnd();
  PartitionOwner heir(world, "two");
  ASSERT_TRUE(heir.RunToEnd(random));
  EXPECT_THAT(Lines(world.Results()), ElementsAre("a {\"total\":1}", "a {\"total\":3}", "a {\"total\":7}"));
  EXPECT_EQ(DeadLetters(world), 0U);
  EXPECT_GE(failures, 3);
}

// Owners with their handlers are killed at any step; the poison is found in the end, and everything is there once.
TEST(PartitionCallsTest, KilledAnywhereEverythingIsThereOnce) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    PartitionWorld world(Totals());
    std::vector<PartitionWorld::Record> all;
    for (int frame = 0; frame < 8; ++frame) {
      std::vector<PartitionWorld::Record> records;
      for (uint64_t i = 1 + random() % 12; i > 0; --i) {
        const uint64_t what = random() % 40;
        records.push_back({std::string(1, static_cast<char>('a' + random() % 5)),
                           static_cast<int64_t>(random() % 100),
                           what == 0   ? "die"
                           : what == 1 ? "fail"
                           : what == 2 ? "twice"
                                       : ""});
      }
      world.Feed(records);
      all.insert(all.end(), records.begin(), records.end());
    }
    world.FeedEnd();
    bool ended = false;
    for (int life = 0; life < 200 && !ended; ++life) {
      PartitionOwner owner(world, random() % 4 == 0 ? "two" : "one");
      ASSERT_EQ(owner.opened(), absl::OkStatus());
      ended = owner.RunToEnd(random, life < 15 ? static_cast<int>(random() % 3000) : 400'000);
    }
    ASSERT_TRUE(ended);
    EXPECT_EQ(Lines(world.Results()), Expected(all));
  }
}

// The same with Lua in a pool's threads: nobody writes down that a record fails, since it does so each time.
TEST(PartitionCallsTest, WithAPoolOfThreadsKilledAnywhereEverythingIsThereOnce) {
  const absl::StatusOr<JobSpec> job = ParseJob("job.yaml", R"(name: j
key: k
partitions: 1
commit: { interval: 10ms }
stages:
  - concurrency: 4
    keyed:
      lua: |
        if r.g == "fail" then error("it fails") end
        state.total = (state.total or 0) + r.v
        emit({ total = state.total })
)");
  ASSERT_TRUE(job.ok()) << job.status();
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    PartitionWorld world(*job);
    std::vector<PartitionWorld::Record> all;
    for (int frame = 0; frame < 8; ++frame) {
      std::vector<PartitionWorld::Record> records;
      for (uint64_t i = 1 + random() % 12; i > 0; --i) {
        records.push_back({std::string(1, static_cast<char>('a' + random() % 5)),
                           static_cast<int64_t>(random() % 100), random() % 20 == 0 ? "fail" : ""});
      }
      world.Feed(records);
      all.insert(all.end(), records.begin(), records.end());
    }
    world.FeedEnd();
    bool ended = false;
    for (int life = 0; life < 30 && !ended; ++life) {
      PartitionOwner owner(world, random() % 4 == 0 ? "two" : "one");
      ASSERT_EQ(owner.opened(), absl::OkStatus());
      ended = owner.RunToEnd(random, life < 10 ? static_cast<int>(random() % 2000) : 400'000);
    }
    ASSERT_TRUE(ended);
    EXPECT_EQ(Lines(world.Results()), Expected(all));
    const std::unique_ptr<MemoryBus> bus = world.broker.Connect();
    const std::string verdicts = world.key.verdict_stream();
    for (uint64_t n = 1; n <= bus->GetStream(verdicts)->last_sequence; ++n) {
      EXPECT_EQ(ParseMessageHeader(bus->GetMessage(verdicts, n)->header)->kind, FrameKind::kEpoch);
    }
  }
}

}  // namespace
}  // namespace millrace
