#include "worker/checkpoint/collection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CheckpointId Checkpoint(uint64_t epoch, uint64_t offset) { return {Epoch(epoch), Offset(offset)}; }

TEST(PlanManifests, KeepsTheNewest) {
  const auto plan =
      PlanManifests({Checkpoint(1, 10), Checkpoint(2, 5), Checkpoint(1, 30), Checkpoint(2, 20)}, Epoch(2), 3);
  EXPECT_FALSE(plan.fenced);
  EXPECT_THAT(plan.keep, ElementsAre(Checkpoint(2, 20), Checkpoint(2, 5), Checkpoint(1, 30)));
  EXPECT_THAT(plan.drop, ElementsAre(Checkpoint(1, 10)));
}

TEST(PlanManifests, KeepsAllWhereThereAreFew) {
  const auto plan = PlanManifests({Checkpoint(1, 10)}, Epoch(1), 3);
  EXPECT_THAT(plan.keep, ElementsAre(Checkpoint(1, 10)));
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_THAT(PlanManifests({}, Epoch(1), 3).keep, IsEmpty());
}

TEST(PlanManifests, LeavesEverythingToALaterOwner) {
  const auto plan = PlanManifests({Checkpoint(1, 10), Checkpoint(1, 20), Checkpoint(3, 5)}, Epoch(2), 1);
  EXPECT_TRUE(plan.fenced);
  EXPECT_THAT(plan.drop, IsEmpty());
}

class PlanFilesTest : public testing::Test {
 protected:
  std::string File(uint64_t epoch, const char* name) { return layout_.File(Checkpoint(epoch, 1), name); }
  std::vector<std::string> Plan(const std::vector<std::string>& there, const std::set<std::string>& named,
                                int64_t second) {
    return PlanFiles(layout_, there, named, Epoch(2), absl::Seconds(second), absl::Seconds(60), &unnamed_);
  }

  const CheckpointLayout layout_{"0123456789abcdef", SegmentId(0), PartitionId(3)};
  UnnamedFiles unnamed_;
};

TEST_F(PlanFilesTest, DeletesWhatWasNotNamedForTheGraceTime) {
  const std::string kept = File(1, "000001.sst"), old = File(1, "000002.sst");
  EXPECT_THAT(Plan({kept, old}, {kept}, 0), IsEmpty());
  EXPECT_THAT(Plan({kept, old}, {kept}, 59), IsEmpty());
  EXPECT_THAT(Plan({kept, old}, {kept}, 60), ElementsAre(old));
  EXPECT_THAT(Plan({kept}, {kept}, 120), IsEmpty());
  EXPECT_THAT(unnamed_, IsEmpty());
}

TEST_F(PlanFilesTest, BeginsToCountAnewWhenAFileWasNamedAgain) {
  const std::string file = File(1, "000002.sst");
  EXPECT_THAT(Plan({file}, {}, 0), IsEmpty());
  EXPECT_THAT(Plan({file}, {file}, 30), IsEmpty());
  EXPECT_THAT(Plan({file}, {}, 70), IsEmpty());
  EXPECT_THAT(Plan({file}, {}, 130), ElementsAre(file));
}

TEST_F(PlanFilesTest, LeavesFilesOfLaterOwnersAndOfOthersAlone) {
  const std::vector<std::string> others = {File(3, "000001.sst"), layout_.files() + "notes.txt",
                                           layout_.prefix() + "x"};
  EXPECT_THAT(Plan(others, {}, 0), IsEmpty());
  EXPECT_THAT(Plan(others, {}, 1000), IsEmpty());
}

TEST(CheckpointLayout, NamesSortAsNumbersDoAndReadBack) {
  const CheckpointLayout layout("uid", SegmentId(1), PartitionId(12));
  EXPECT_EQ(layout.Manifest(Checkpoint(2, 17)),
            "uid/1-12/manifests/00000000000000000002-00000000000000000017.json");
  EXPECT_EQ(layout.File(Checkpoint(2, 17), "000009.sst"), "uid/1-12/files/00000000000000000002-000009.sst");
  EXPECT_EQ(layout.File(Checkpoint(2, 17), "CURRENT"),
            "uid/1-12/files/00000000000000000002-00000000000000000017-CURRENT");
  EXPECT_LT(layout.Manifest(Checkpoint(9, 999)), layout.Manifest(Checkpoint(10, 1)));
  EXPECT_EQ(layout.ParseManifest(layout.Manifest(Checkpoint(2, 17))), Checkpoint(2, 17));
  EXPECT_EQ(layout.EpochOfFile(layout.File(Checkpoint(7, 1), "CURRENT")), Epoch(7));
}

TEST(CheckpointLayout, KnowsItsOwnNamesOnly) {
  const CheckpointLayout layout("uid", SegmentId(0), PartitionId(1));
  const std::string good = layout.Manifest(Checkpoint(2, 17));
  for (size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_EQ(layout.ParseManifest(good.substr(0, cut)), std::nullopt) << cut;
  EXPECT_EQ(layout.ParseManifest(good + "x"), std::nullopt);
  EXPECT_EQ(
      layout.ParseManifest(CheckpointLayout("uid", SegmentId(0), PartitionId(2)).Manifest(Checkpoint(2, 17))),
      std::nullopt);
  EXPECT_EQ(layout.ParseManifest(layout.manifests() + "-0000000000000000002-00000000000000000017.json"),
            std::nullopt);
  EXPECT_EQ(layout.ParseManifest(layout.manifests() + "99999999999999999999-00000000000000000017.json"),
            std::nullopt);
}

}  // namespace
}  // namespace millrace
