#include "worker/checkpoint/checkpoint_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/checkpoint/catalog.h"
#include "common/state/row_key.h"
#include "common/strings.h"
#include "tests/support/memory_blob_store.h"
#include "worker/checkpoint/restorer.h"
#include "worker/state/frozen_commit.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// One partition's databases and owners, on several workers, over one store.
class CheckpointSeriesTest : public testing::Test {
 protected:
  CheckpointSeriesTest() {
    root_ = (std::filesystem::temp_directory_path() / "millrace-series-XXXXXX").string();
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
  }
  ~CheckpointSeriesTest() override {
    workers_.clear();
    std::filesystem::remove_all(root_);
  }

  struct Worker {
    std::unique_ptr<DataDir> data_dir;
    std::unique_ptr<PartitionDb> db;
    std::unique_ptr<CheckpointSeries> series;
    Epoch epoch;
  };

  Worker& Own(const std::string& name, uint64_t epoch) {
    Worker& worker = workers_[name];
    if (worker.data_dir == nullptr) worker.data_dir = *DataDir::Open(root_ + "/" + name);
    worker.db.reset();
    worker.db = *PartitionDb::Open(
        *worker.data_dir->PartitionFolder({key_.uid, key_.segment, key_.partition}), resources_);
    CheckpointSeries::Options options;
    options.engine = "test";
    options.keep = 2;
    options.grace = absl::Seconds(60);
    options.stopping = [this] { return stopping_; };
    worker.epoch = Epoch(epoch);
    worker.series = std::make_unique<CheckpointSeries>(*store_, clock_, key_, Epoch(epoch), options);
    return worker;
  }

  // `rows` rows with values that tell the offset.
  void Commit(Worker& worker, uint64_t offset, int rows = 3'000) {
    CommitRow row;
    row.uid = key_.uid;
    row.segment = key_.segment;
    row.partition = key_.partition;
    row.offset = Offset(offset);
    FrozenCommit commit(EncodeCommitRow(row));
    for (int i = 0; i < rows; ++i)
      commit.Put(TableSpace(1), StrCat(offset, "-", i), StrCat("value ", offset));
    ASSERT_TRUE(commit.Write(*worker.db).ok());
  }

  absl::StatusOr<CheckpointSeries::Stored> Store(Worker& worker) {
    absl::StatusOr<LinkedCheckpoint> linked = LinkCommit(*worker.data_dir, key_, worker.epoch, *worker.db);
    if (!linked.ok()) return linked.status();
    return worker.series->Store(*linked);
  }

  void Collect(Worker& worker) {
    ASSERT_TRUE(worker.series->Collect([] { return true; }).ok());
  }

  std::vector<CheckpointId> There() { return *ListCheckpoints(*store_, layout_); }

  // The offset that checkpoint `id` holds, read out of a database that was restored from it.
  absl::StatusOr<uint64_t> Restored(const CheckpointId& id) {
    const auto data_dir = *DataDir::Open(root_ + "/restore");
    const auto manifest = RestoreCheckpoint(*store_, key_, id, *data_dir, resources_);
    if (!manifest.ok()) return manifest.status();
    const auto db =
        *PartitionDb::Open(*data_dir->PartitionFolder({key_.uid, key_.segment, key_.partition}), resources_);
    const CommitRow row = *DecodeCommitRow(**db->Get(kCommitRowKey));
    const auto value = *db->Get(RowKey(TableSpace(1), StrCat(row.offset.value(), "-0")));
    EXPECT_EQ(value, StrCat("value ", row.offset.value()));
    return row.offset.value();
  }

  CheckpointId Named(uint64_t epoch, uint64_t offset) { return {Epoch(epoch), Offset(offset)}; }

  const PartitionKey key_{"delays", "0123456789abcdef", SegmentId(1), PartitionId(3)};
  const CheckpointLayout layout_{key_.uid, key_.segment, key_.partition};
  std::string root_;
  ManualClock clock_;
  MemoryBlobPlace place_;
  std::unique_ptr<BlobStore> store_ = place_.Open();
  std::shared_ptr<DbResources> resources_ = DbResources::Create({});
  std::map<std::string, Worker> workers_;
  bool stopping_ = false;
};

TEST_F(CheckpointSeriesTest, PutsEachTableOnce) {
  Worker& worker = Own("w1", 1);
  Commit(worker, 10);
  const auto first = Store(worker);
  ASSERT_TRUE(first.ok()) << first.status();
  Commit(worker, 20, 1);
  const auto second = Store(worker);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_LT(second->put_bytes, first->put_bytes / 2);
  EXPECT_THAT(There(), ElementsAre(Named(1, 10), Named(1, 20)));
  EXPECT_EQ(*Restored(Named(1, 10)), 10u);
  EXPECT_EQ(*Restored(Named(1, 20)), 20u);
}

TEST_F(CheckpointSeriesTest, ALaterOwnerPutsOnlyWhatTheStoreHasNot) {
  Worker& first = Own("w1", 1);
  Commit(first, 10);
  const auto whole = Store(first);
  ASSERT_TRUE(whole.ok());
  Worker& again = Own("w1", 2);
  Commit(again, 20, 1);
  const auto stored = Store(again);
  ASSERT_TRUE(stored.ok());
  EXPECT_LT(stored->put_bytes, whole->put_bytes / 2);
  EXPECT_EQ(*Restored(Named(2, 20)), 20u);
}

// Two lines of one partition's history have files of the same name and other content.
TEST_F(CheckpointSeriesTest, AZombiesFilesAreNeverMixedWithTheNewOwners) {
  Worker& zombie = Own("w1", 1);
  Worker& owner = Own("w2", 2);
  Commit(zombie, 10);
  Commit(owner, 12);
  ASSERT_TRUE(Store(zombie).ok());
  ASSERT_TRUE(Store(owner).ok());
  EXPECT_EQ(*Restored(Named(1, 10)), 10u);
  EXPECT_EQ(*Restored(Named(2, 12)), 12u);
}

TEST_F(CheckpointSeriesTest, AnOwnerThatBeginsAfterALaterOnePutsNothing) {
  Worker& owner = Own("w2", 2);
  Commit(owner, 12);
  ASSERT_TRUE(Store(owner).ok());
  const size_t puts = place_.puts();
  Worker& zombie = Own("w1", 1);
  Commit(zombie, 10);
  EXPECT_TRUE(absl::IsFailedPrecondition(Store(zombie).status()));
  EXPECT_EQ(place_.puts(), puts);
}

// Whatever call to the store is the last that it answers.
TEST_F(CheckpointSeriesTest, AnUploadCutAnywhereLeavesTheOneBefore) {
  Worker& worker = Own("w1", 1);
  Commit(worker, 10);
  ASSERT_TRUE(Store(worker).ok());
  Commit(worker, 20);
  size_t cuts = 0;
  for (;; ++cuts) {
    Worker& owner = Own("w1", 2 + cuts);
    place_.FailAfter(cuts);
    const auto stored = Store(owner);
    place_.Recover();
    if (stored.ok()) break;
    EXPECT_TRUE(absl::IsUnavailable(stored.status())) << stored.status();
    EXPECT_THAT(There(), ElementsAre(Named(1, 10))) << cuts;
    EXPECT_EQ(*Restored(Named(1, 10)), 10u) << cuts;
  }
  EXPECT_GE(cuts, 5u);  // two lists and reads, a table, CURRENT, the database's manifest, ours
  EXPECT_EQ(*Restored(Named(2 + cuts, 20)), 20u);
}

TEST_F(CheckpointSeriesTest, AnUploadThatWasCutGoesOnWhereItBroke) {
  Worker& worker = Own("w1", 1);
  Commit(worker, 10);
  place_.FailAfter(2);  // the list, the first table
  EXPECT_FALSE(Store(worker).ok());
  place_.Recover();
  const size_t puts = place_.puts();
  ASSERT_EQ(puts, 1u);
  ASSERT_TRUE(Store(worker).ok());
  EXPECT_EQ(*Restored(Named(1, 10)), 10u);
  EXPECT_THAT(place_.Names(layout_.files()),
              SizeIs(place_.puts() - 1));  // none was put twice; one is the manifest
}

TEST_F(CheckpointSeriesTest, StopsBetweenTwoFiles) {
  Worker& worker = Own("w1", 1);
  Commit(worker, 10);
  stopping_ = true;
  EXPECT_TRUE(absl::IsCancelled(Store(worker).status()));
  EXPECT_EQ(place_.puts(), 0u);
}

TEST_F(CheckpointSeriesTest, KeepsTheNewestAndWhatTheyName) {
  Worker& worker = Own("w1", 1);
  for (uint64_t offset = 10; offset <= 400; offset += 10) {
    Commit(worker, offset);
    ASSERT_TRUE(Store(worker).ok());
    Collect(worker);
    clock_.Advance(absl::Seconds(20));
    ASSERT_LE(There().size(), 2u);
  }
  EXPECT_THAT(There(), ElementsAre(Named(1, 390), Named(1, 400)));
  EXPECT_EQ(*Restored(Named(1, 390)), 390u);
  EXPECT_EQ(*Restored(Named(1, 400)), 400u);
  // What only dropped ones named is gone, but for the last grace time's.
  size_t small_files = 0;
  for (const std::string& name : place_.Names(layout_.files()))
    small_files += name.ends_with("CURRENT") ? 1 : 0;
  EXPECT_LE(small_files, 7u);
}

TEST_F(CheckpointSeriesTest, DeletesNothingOnceALaterEpochIsClaimed) {
  Worker& worker = Own("w1", 1);
  for (uint64_t offset = 10; offset <= 50; offset += 10) {
    Commit(worker, offset);
    ASSERT_TRUE(Store(worker).ok());
  }
  const auto before = place_.Names();
  ASSERT_TRUE(worker.series->Collect([] { return false; }).ok());
  EXPECT_EQ(place_.Names(), before);
  EXPECT_TRUE(absl::IsUnavailable(
      worker.series->Collect([] { return absl::UnavailableError("no broker"); }).status()));
  EXPECT_EQ(place_.Names(), before);
}

TEST_F(CheckpointSeriesTest, ACollectionCutAnywhereLeavesTheKeptOnes) {
  Worker& worker = Own("w1", 1);
  for (uint64_t offset = 10; offset <= 60; offset += 10) {
    Commit(worker, offset);
    ASSERT_TRUE(Store(worker).ok());
  }
  for (size_t calls = 0; calls < 40; ++calls) {
    place_.FailAfter(calls);
    const absl::Status collected = worker.series->Collect([] { return true; }).status();
    place_.Recover();
    clock_.Advance(absl::Seconds(61));
    EXPECT_EQ(*Restored(Named(1, 50)), 50u) << calls;
    EXPECT_EQ(*Restored(Named(1, 60)), 60u) << calls;
    if (collected.ok() && There().size() == 2 && calls > 20) break;
  }
  EXPECT_THAT(There(), ElementsAre(Named(1, 50), Named(1, 60)));
}

TEST_F(CheckpointSeriesTest, WhileAManifestIsUnreadableNoFileGoes) {
  Worker& worker = Own("w1", 1);
  Commit(worker, 10);
  ASSERT_TRUE(Store(worker).ok());
  place_.FlipBit(layout_.Manifest(Named(1, 10)), 40);
  Worker& heir = Own("w1", 2);
  Commit(heir, 20);
  ASSERT_TRUE(Store(heir).ok());
  const auto files = place_.Names(layout_.files());
  for (int i = 0; i < 3; ++i) {
    Collect(heir);
    clock_.Advance(absl::Seconds(61));
  }
  EXPECT_EQ(place_.Names(layout_.files()), files);
  Commit(heir, 30);
  ASSERT_TRUE(Store(heir).ok());  // now it is dropped
  for (int i = 0; i < 2; ++i) {
    Collect(heir);
    clock_.Advance(absl::Seconds(61));
  }
  EXPECT_LE(place_.Names(layout_.files()).size(), files.size());
  EXPECT_EQ(*Restored(Named(2, 20)), 20u);
  EXPECT_EQ(*Restored(Named(2, 30)), 30u);
}

TEST_F(CheckpointSeriesTest, ARestoreThatFailsLeavesWhatWasInTheFolder) {
  Worker& worker = Own("w1", 1);
  Commit(worker, 10);
  ASSERT_TRUE(Store(worker).ok());
  ASSERT_EQ(*Restored(Named(1, 10)), 10u);
  Commit(worker, 20);
  ASSERT_TRUE(Store(worker).ok());
  place_.Remove(place_.Names(layout_.files()).back());
  EXPECT_TRUE(absl::IsDataLoss(Restored(Named(1, 20)).status()));
  const auto data_dir = *DataDir::Open(root_ + "/restore");
  const auto db =
      *PartitionDb::Open(*data_dir->PartitionFolder({key_.uid, key_.segment, key_.partition}), resources_);
  EXPECT_EQ(DecodeCommitRow(**db->Get(kCommitRowKey))->offset, Offset(10));
}

}  // namespace
}  // namespace millrace
