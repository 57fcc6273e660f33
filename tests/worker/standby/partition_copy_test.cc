#include "worker/standby/partition_copy.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/worker/standby/copies_fixture.h"

namespace millrace {
namespace {

class PartitionCopyTest : public CopiesTest {
 protected:
  std::unique_ptr<PartitionCopy> NewCopy() {
    return std::make_unique<PartitionCopy>(key_, *store_, *copy_dir_, resources_);
  }
  // One look, after which that offset is on the disk. Answers how many bytes it fetched.
  uint64_t Look(PartitionCopy& copy, uint64_t offset) {
    const auto outcome = copy.BringUpToDate();
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    if (!outcome.ok()) return 0;
    EXPECT_EQ(outcome->offset, Offset(offset));
    EXPECT_EQ(OffsetOnDisk(), offset);
    EXPECT_FALSE(HasAside());
    return outcome->fetched_bytes;
  }
};

TEST_F(PartitionCopyTest, FollowsTheOwnersCheckpointsAndFetchesOnlyWhatIsNew) {
  const auto copy = NewCopy();
  EXPECT_EQ(Look(*copy, 0), 0u);
  Checkpoint(10, kRows);
  const uint64_t whole = Look(*copy, 10);
  EXPECT_EQ(Look(*copy, 10), 0u) << "nothing is new";
  Checkpoint(20, 1);
  EXPECT_LT(Look(*copy, 20), whole / 2);
}

TEST_F(PartitionCopyTest, FilesOfAnEarlierLifeAreNotFetchedAgain) {
  Checkpoint(10, kRows);
  const uint64_t whole = Look(*NewCopy(), 10);
  Checkpoint(20, 1);
  EXPECT_LT(Look(*NewCopy(), 20), whole / 2);
}

TEST_F(PartitionCopyTest, NewerStateHereStays) {
  Checkpoint(10, kRows);
  {
    const auto db = *PartitionDb::Open(*copy_dir_->PartitionFolder(partition_), resources_);
    Commit(*db, 15, 1);
  }
  const auto copy = NewCopy();
  EXPECT_EQ(Look(*copy, 15), 0u);
  Checkpoint(20, 1);
  EXPECT_GT(Look(*copy, 20), 0u);
}

TEST_F(PartitionCopyTest, DamagedStateHereIsReplaced) {
  Checkpoint(10, kRows);
  const std::string folder = *copy_dir_->PartitionFolder(partition_);
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/000012.sst") << "no table";
  Look(*NewCopy(), 10);
}

TEST_F(PartitionCopyTest, AFileHereThatWasDamagedSinceIsFetchedAgain) {
  const auto copy = NewCopy();
  Checkpoint(10, kRows);
  const uint64_t whole = Look(*copy, 10);
  for (const auto& entry : std::filesystem::directory_iterator(*copy_dir_->PartitionFolder(partition_))) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file.put('\x5a');
  }
  Checkpoint(20, 1);
  EXPECT_GT(Look(*copy, 20), whole / 2);
}

// Every way in which the newest can be bad leads to the one before, and to a later one that is good.
TEST_F(PartitionCopyTest, ABadCheckpointIsPassedOver) {
  Checkpoint(10, kRows);
  Checkpoint(20, 1);
  const std::vector<std::string> before = Files();
  Checkpoint(30, kRows);
  const auto newest_file = [&] {
    for (const std::string& name : Files()) {
      const bool is_new = std::find(before.begin(), before.end(), name) == before.end();
      if (is_new && name.ends_with(".sst")) return name;
    }
    return std::string();
  };
  place_.FlipBit(newest_file(), 100);
  const auto copy = NewCopy();
  Look(*copy, 20);
  Checkpoint(40, 1);  // shares the damaged file
  Look(*copy, 20);
  BecomeOwner(2);  // another one puts the file again
  place_.Remove(newest_file());
  for (const std::string& name : Manifests()) {
    if (name > layout_.Manifest({Epoch(1), Offset(20)})) place_.Remove(name);
  }
  Checkpoint(50, 1);
  Look(*copy, 50);
}

TEST_F(PartitionCopyTest, AnUploadThatWasCutIsNotSeen) {
  Checkpoint(10, kRows);
  const auto copy = NewCopy();
  Look(*copy, 10);
  Commit(*db_, 20, kRows);
  const auto linked = LinkCommit(*owner_dir_, key_, epoch_, *db_);
  place_.FailAfter(1);  // a file, and no manifest
  EXPECT_FALSE(series_->Store(*linked).ok());
  place_.Recover();
  Look(*copy, 10);
}

TEST_F(PartitionCopyTest, AStoreThatDoesNotAnswerLeavesWhatIsThere) {
  Checkpoint(10, kRows);
  const auto copy = NewCopy();
  Look(*copy, 10);
  Checkpoint(20, kRows);
  for (const size_t calls : {0, 1, 2}) {
    place_.FailAfter(calls);
    EXPECT_TRUE(absl::IsUnavailable(copy->BringUpToDate().status()));
    EXPECT_EQ(OffsetOnDisk(), 10u);
  }
  place_.Recover();
  Look(*copy, 20);
}

TEST_F(PartitionCopyTest, OnceItIsLetGoTheFolderIsLeftAlone) {
  Checkpoint(10, kRows);
  const auto copy = NewCopy();
  Look(*copy, 10);
  Checkpoint(20, kRows);
  // The owner-to-be comes while the newer one is being fetched.
  store_->on_get = [&](const std::string& name) {
    if (name.starts_with(layout_.files())) copy->LetGo();
  };
  EXPECT_TRUE(absl::IsCancelled(copy->BringUpToDate().status()));
  copy->AwaitFolder();
  EXPECT_EQ(OffsetOnDisk(), 10u);
  EXPECT_FALSE(HasAside());
  EXPECT_TRUE(absl::IsCancelled(copy->BringUpToDate().status()));
}

TEST_F(PartitionCopyTest, LetGoBeforeItsFirstLookItReadsNothing) {
  Checkpoint(10, kRows);
  const auto copy = NewCopy();
  copy->LetGo();
  EXPECT_TRUE(absl::IsCancelled(copy->BringUpToDate().status()));
  EXPECT_EQ(OffsetOnDisk(), 0u);
}

}  // namespace
}  // namespace millrace
