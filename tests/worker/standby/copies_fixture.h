// An owner that puts checkpoints into a store in memory, and the data folder of another worker that copies
// them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/checkpoint/catalog.h"
#include "common/clock.h"
#include "common/state/row_key.h"
#include "common/strings.h"
#include "gtest/gtest.h"
#include "tests/support/memory_blob_store.h"
#include "worker/checkpoint/checkpoint_series.h"
#include "worker/standby/partition_copy.h"
#include "worker/state/frozen_commit.h"

namespace millrace {

// Hands everything on, and tells of each Get before it is answered.
class WatchedBlobStore : public BlobStore {
 public:
  explicit WatchedBlobStore(std::unique_ptr<BlobStore> store) : store_(std::move(store)) {}
  absl::Status Put(const std::string& name, std::string_view bytes) override {
    return store_->Put(name, bytes);
  }
  absl::Status Get(const std::string& name, const Sink& sink) override {
    if (on_get) on_get(name);
    return store_->Get(name, sink);
  }
  absl::StatusOr<BlobInfo> Head(const std::string& name) override { return store_->Head(name); }
  absl::StatusOr<std::vector<BlobInfo>> List(const std::string& prefix) override {
    return store_->List(prefix);
  }
  absl::Status Delete(const std::string& name) override { return store_->Delete(name); }
  absl::Status Tidy(absl::Duration age) override { return store_->Tidy(age); }
  std::string ToString() const override { return store_->ToString(); }

  std::function<void(const std::string& name)> on_get;  // called from several threads

 private:
  const std::unique_ptr<BlobStore> store_;
};

class CopiesTest : public testing::Test {
 protected:
  static constexpr int kRows = 5'000;  // enough for a table of their own

  CopiesTest() {
    root_ = (std::filesystem::temp_directory_path() / "millrace-copies-XXXXXX").string();
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    owner_dir_ = *DataDir::Open(root_ + "/owner");
    copy_dir_ = *DataDir::Open(root_ + "/copy");
    BecomeOwner(1);
  }
  ~CopiesTest() override {
    db_.reset();
    std::filesystem::remove_all(root_);
  }

  void BecomeOwner(uint64_t epoch) {
    db_.reset();
    db_ = *PartitionDb::Open(*owner_dir_->PartitionFolder(partition_), resources_);
    CheckpointSeries::Options options;
    options.engine = "test";
    options.stopping = [] { return false; };
    epoch_ = Epoch(epoch);
    series_ = std::make_unique<CheckpointSeries>(*store_, clock_, key_, epoch_, options);
  }
  // The owner commits and stores that; rows have values that tell the offset.
  void Checkpoint(uint64_t offset, int rows) {
    Commit(*db_, offset, rows);
    const auto linked = LinkCommit(*owner_dir_, key_, epoch_, *db_);
    ASSERT_TRUE(linked.ok()) << linked.status();
    const auto stored = series_->Store(*linked);
    ASSERT_TRUE(stored.ok()) << stored.status();
    std::filesystem::remove_all(linked->folder);
  }
  void Commit(PartitionDb& db, uint64_t offset, int rows) {
    CommitRow row;
    row.uid = key_.uid;
    row.segment = key_.segment;
    row.partition = key_.partition;
    row.offset = Offset(offset);
    FrozenCommit commit(EncodeCommitRow(row));
    for (int i = 0; i < rows; ++i)
      commit.Put(TableSpace(1), StrCat(offset, "-", i), StrCat("value ", offset));
    ASSERT_TRUE(commit.Write(db).ok());
  }

  // What an owner would find in the copying worker's folder: the commit's offset, 0 for none.
  uint64_t OffsetOnDisk() {
    const std::string folder = *copy_dir_->PartitionFolder(partition_);
    if (!std::filesystem::exists(folder)) return 0;
    const auto db = PartitionDb::Open(folder, resources_);
    EXPECT_TRUE(db.ok()) << db.status();
    const auto row = *(*db)->Get(kCommitRowKey);
    if (!row.has_value()) return 0;
    const Offset offset = DecodeCommitRow(*row)->offset;
    EXPECT_EQ(*(*db)->Get(RowKey(TableSpace(1), StrCat(offset.value(), "-0"))),
              StrCat("value ", offset.value()));
    return offset.value();
  }
  bool HasAside() const {
    return std::filesystem::exists(*copy_dir_->PartitionFolder(partition_) + ".standby");
  }
  std::vector<std::string> Manifests() { return place_.Names(layout_.manifests()); }
  std::vector<std::string> Files() { return place_.Names(layout_.files()); }

  const PartitionKey key_{"delays", "0123456789abcdef", SegmentId(1), PartitionId(3)};
  const DataDir::Partition partition_{key_.uid, key_.segment, key_.partition};
  const CheckpointLayout layout_{key_.uid, key_.segment, key_.partition};
  std::string root_;
  ManualClock clock_;
  MemoryBlobPlace place_;
  std::unique_ptr<WatchedBlobStore> store_ = std::make_unique<WatchedBlobStore>(place_.Open());
  std::shared_ptr<DbResources> resources_ = DbResources::Create({});
  std::unique_ptr<DataDir> owner_dir_, copy_dir_;
  std::unique_ptr<PartitionDb> db_;
  Epoch epoch_;
  std::unique_ptr<CheckpointSeries> series_;
};

}  // namespace millrace
