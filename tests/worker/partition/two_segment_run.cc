#include "tests/worker/partition/two_segment_run.h"

#include <gtest/gtest.h>

#include "common/partitioner.h"
#include "common/strings.h"

namespace millrace {

TwoSegmentRun::TwoSegmentRun(PartitionWorld& world, std::mt19937_64& random)
    : world_(world), random_(random) {
  for (uint32_t s = 0; s < 2; ++s) {
    for (uint32_t p = 0; p < 2; ++p) {
      keys_.push_back({world.key.job, world.key.uid, SegmentId(s), PartitionId(p)});
    }
  }
  owners_.resize(keys_.size());
  for (size_t i = 0; i < keys_.size(); ++i) Start(i, "w1");
}

void TwoSegmentRun::Start(size_t i, const std::string& worker) {
  owners_[i].reset();
  owners_[i] = std::make_unique<PartitionOwner>(world_, StrCat(worker, "-", i), keys_[i]);
  ASSERT_TRUE(owners_[i]->opened().ok()) << owners_[i]->opened();
}

size_t TwoSegmentRun::StepOne() {
  const size_t i = random_() % owners_.size();
  owners_[i]->Step(random_);
  return i;
}

bool TwoSegmentRun::RunToEnd(int steps) {
  for (int i = 0; i < steps; ++i) {
    StepOne();
    if (i % 64 == 0 && completed()) return true;
  }
  return completed();
}

bool TwoSegmentRun::completed() {
  for (auto& owner : owners_) {
    if (owner->partition().Report().state != "completed") return false;
  }
  return true;
}

std::string TwoSegmentRun::Reports() {
  std::string text;
  for (auto& owner : owners_) {
    const PartitionReport report = owner->partition().Report();
    StrAppend(&text, report.segment, "-", report.partition, " ", report.state, " ", report.reason, "; ");
  }
  return text;
}

KeyTotals FeedKeys(PartitionWorld& world, int frames, std::mt19937_64& random) {
  KeyTotals totals;
  for (int f = 0; f < frames; ++f) {
    const uint32_t p = static_cast<uint32_t>(random() % 2);
    std::vector<PartitionWorld::Record> records;
    for (uint64_t n = 1 + random() % 6; n > 0; --n) {
      const std::string key = StrCat("key-", p, "-", random() % 6);
      ++totals[key];
      records.push_back({key, 1, "of-" + key});
    }
    world.Feed(records, p);
  }
  return totals;
}

void ExpectAnswer(PartitionWorld& world, const KeyTotals& totals) {
  std::map<std::string, int64_t> seen;
  for (uint32_t p = 0; p < 2; ++p) {
    for (const Output& output : world.Results(p)) {
      const int64_t n = ++seen[output.key];
      ASSERT_EQ(output.value_json, StrCat(R"({"m":)", n, R"(,"total":)", n * (n + 1) / 2, "}")) << output.key;
      ASSERT_EQ(PartitionOf(output.key, 2), PartitionId(p));
    }
  }
  ASSERT_EQ(seen.size(), totals.size());
  for (const auto& [key, count] : totals) EXPECT_EQ(seen["of-" + key], count) << key;
}

}  // namespace millrace
