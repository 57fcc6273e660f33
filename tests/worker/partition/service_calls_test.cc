// Partitions that call a service which never answers twice alike: what was written down counts, whoever owns them.
#include <map>
#include <random>
#include <set>

#include "common/handler/call_request.h"
#include "common/job/job_parser.h"
#include "common/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/partition/partition_harness.h"

namespace millrace {
namespace {

constexpr char kServiceJob[] =
    "name: j\nkey: k\npartitions: 1\ncommit: { interval: 10ms }\nstages:\n"
    "  - call: { http: 'http://s/x', result: '{ v = r.v, luck = response.body }' }\n"
    "    name: ask\n"
    "  - keyed: { lua: 'state.sum = (state.sum or 0) + r.luck; emit({ v = r.v, luck = r.luck, sum = "
    "state.sum })' }\n";

class ServiceCallsTest : public testing::Test {
 protected:
  static JobSpec Job() {
    absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", kServiceJob);
    EXPECT_TRUE(spec.ok()) << spec.status();
    return *spec;
  }
  // Another number for each request, whatever it is.
  void AnswerAtRandom(PartitionWorld& world) {
    world.service = [this](const HttpCallRequest& request) {
      ++asked_[request.label];
      HttpAnswer answer;
      answer.code = 200;
      answer.headers = {{"content-type", "application/json"}};
      answer.body = StrCat(++numbers_);
      return *PackHttpAnswer(answer);
    };
  }
  // Each record's number is in the sums of its key from there on.
  static void ExpectConsistent(const std::vector<Output>& outputs, size_t records) {
    EXPECT_EQ(outputs.size(), records);
    std::map<std::string, int64_t> sums;
    for (const Output& output : outputs) {
      const auto value = nlohmann::json::parse(output.value_json);
      EXPECT_EQ(value["sum"], sums[output.key] += value["luck"].get<int64_t>()) << output.value_json;
    }
  }

  std::map<std::string, int> asked_;  // by label
  int numbers_ = 0;
};

TEST_F(ServiceCallsTest, AnHeirTakesTheAnswersThatWereWrittenDown) {
  PartitionWorld world(Job());
  AnswerAtRandom(world);
  world.Feed({{"a", 1}, {"b", 2}, {"a", 3}});
  std::mt19937_64 random(1);
  std::vector<Output> first;
  {
    PartitionOwner owner(world, "one");
    ASSERT_EQ(owner.opened(), absl::OkStatus());
    for (int i = 0; i < 20'000 && world.Results().size() < 3; ++i) owner.Step(random);
    first = world.Results();
    ASSERT_EQ(first.size(), 3u);
  }
  world.Feed({{"a", 4}});
  world.FeedEnd();
  PartitionOwner heir(world, "two");  // without the state of the first
  ASSERT_TRUE(heir.RunToEnd(random));
  ExpectConsistent(world.Results(), 4);
  for (const auto& [label, times] : asked_) EXPECT_EQ(times, 1) << label;
}

TEST_F(ServiceCallsTest, AnHeirThatKeepsAFewAnswersAtATimeAsksNobodyTwice) {
  PartitionWorld world(Job());
  AnswerAtRandom(world);
  constexpr int kMessages = 100;
  for (int n = 0; n < kMessages; ++n) world.Feed({{StrCat("k", n % 3), n}, {"a", n}});
  std::mt19937_64 random(1);
  {
    PartitionOwner owner(world, "one");
    ASSERT_EQ(owner.opened(), absl::OkStatus());
    for (int i = 0; i < 100'000 && world.Results().size() < 2 * kMessages; ++i) owner.Step(random);
    ASSERT_EQ(world.Results().size(), 2u * kMessages);
  }
  world.FeedEnd();
  world.max_answer_bytes = 4000;
  PartitionOwner heir(world, "two");  // without the state of the first
  ASSERT_TRUE(heir.RunToEnd(random));
  ExpectConsistent(world.Results(), 2 * kMessages);
  for (const auto& [label, times] : asked_) EXPECT_EQ(times, 1) << label;
}

TEST_F(ServiceCallsTest, ResultsAndStateAgreeWhoeverDiesWhenever) {
  for (int seed = 1; seed <= 80; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    PartitionWorld world(Job());
    AnswerAtRandom(world);
    if (seed > 40) world.max_answer_bytes = 500 + random() % 3000;
    size_t records = 0;
    for (int message = 0; message < 12; ++message) {
      std::vector<PartitionWorld::Record> batch;
      for (uint64_t n = 1 + random() % 5; n > 0; --n) {
        batch.push_back({StrCat("k", random() % 4), static_cast<int64_t>(++records)});
      }
      world.Feed(batch);
    }
    world.FeedEnd();
    for (int life = 0; life < 6; ++life) {
      PartitionOwner owner(world, StrCat("data-", random() % 2));
      if (!owner.opened().ok()) continue;
      for (uint64_t steps = random() % 1500; steps > 0; --steps) owner.Step(random);
    }
    PartitionOwner last(world, "last");
    ASSERT_EQ(last.opened(), absl::OkStatus());
    ASSERT_TRUE(last.RunToEnd(random));
    ExpectConsistent(world.Results(), records);
  }
}

}  // namespace
}  // namespace millrace
