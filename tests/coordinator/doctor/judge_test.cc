#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/doctor/doctor.h"

namespace millrace {
namespace {

using FindingLevel = Finding::Level;

DoctorFacts GoodFacts() {
  DoctorFacts facts;
  facts.server.version = "2.11.4";
  facts.server.max_payload = 1 << 20;
  facts.clustered = true;
  facts.append_time = absl::Milliseconds(1);
  facts.clock_difference = absl::Milliseconds(3);
  facts.data_dir = "/data";
  facts.disk_free_bytes = uint64_t{100} << 30;
  facts.open_files_limit = 65536;
  return facts;
}

FindingLevel Worst(const DoctorFacts& facts) {
  FindingLevel worst = FindingLevel::kOk;
  for (const Finding& finding : Judge(facts)) {
    worst = std::max(worst, finding.level);
    if (finding.level != FindingLevel::kOk) {
      EXPECT_FALSE(finding.why.empty()) << finding.what;
      EXPECT_FALSE(finding.try_this.empty()) << finding.what;
    }
  }
  return worst;
}

TEST(JudgeTest, IsContentWithAGoodMachine) { EXPECT_EQ(Worst(GoodFacts()), FindingLevel::kOk); }

TEST(JudgeTest, RefusesServersBefore29AndWarnsOfThe29ThatLoseData) {
  DoctorFacts facts = GoodFacts();
  facts.server.version = "2.8.4";
  EXPECT_EQ(Worst(facts), FindingLevel::kFail);
  facts.server.version = "2.9.10";
  EXPECT_EQ(Worst(facts), FindingLevel::kWarn);
  facts.server.version = "2.9.22";
  EXPECT_EQ(Worst(facts), FindingLevel::kOk);
}

TEST(JudgeTest, FailsWithoutJetStreamOrWithoutABroker) {
  DoctorFacts facts = GoodFacts();
  facts.connect_error = "refused";
  EXPECT_EQ(Worst(facts), FindingLevel::kFail);
  facts.lacks_jetstream = true;
  EXPECT_EQ(Worst(facts), FindingLevel::kFail);
}

TEST(JudgeTest, FailsOnSmallPayloadsAFullStoreAndAFullDisk) {
  DoctorFacts small = GoodFacts();
  small.server.max_payload = 1000;
  EXPECT_EQ(Worst(small), FindingLevel::kFail);
  DoctorFacts full = GoodFacts();
  full.store_limit_bytes = 10;
  full.store_used_bytes = 10;
  EXPECT_EQ(Worst(full), FindingLevel::kFail);
  DoctorFacts disk = GoodFacts();
  disk.disk_free_bytes = 1000;
  EXPECT_EQ(Worst(disk), FindingLevel::kFail);
}

TEST(JudgeTest, WarnsOfASingleServerAndOfClocksThatDiffer) {
  DoctorFacts single = GoodFacts();
  single.clustered = false;
  EXPECT_EQ(Worst(single), FindingLevel::kWarn);
  DoctorFacts skewed = GoodFacts();
  skewed.clock_difference = -absl::Seconds(30);
  EXPECT_EQ(Worst(skewed), FindingLevel::kWarn);
}

TEST(JudgeTest, WarnsOfABucketThatAClusterKeepsOnce) {
  DoctorFacts facts = GoodFacts();
  BucketFacts bucket{"mr-epochs", true, false, false, false};
  bucket.replicas = 1;
  facts.buckets = {bucket};
  EXPECT_EQ(Worst(facts), FindingLevel::kWarn);
  facts.buckets[0].replicas = 3;
  EXPECT_EQ(Worst(facts), FindingLevel::kOk);
  facts.buckets[0].replicas = 1;
  facts.clustered = false;  // one server keeps one copy: that is said elsewhere
  EXPECT_EQ(Worst(facts), FindingLevel::kWarn);
  const auto findings = Judge(facts);
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.what == "bucket mr-epochs" && finding.level == FindingLevel::kOk;
  }));
}

TEST(JudgeTest, FailsOnABucketWhoseKeysVanish) {
  DoctorFacts facts = GoodFacts();
  facts.buckets = {BucketFacts{"mr-epochs", true, false, true, false}};
  EXPECT_EQ(Worst(facts), FindingLevel::kFail);
}

}  // namespace
}  // namespace millrace
