// A partition's store in a temp folder that can be closed, as by a crash, and opened again.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/state/partition_db.h"
#include "worker/state/state_store.h"

namespace millrace {

class StateFixture : public ::testing::Test {
 protected:
  StateFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "millrace-state-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    dir_ = name;
  }
  ~StateFixture() override {
    store_.reset();
    std::filesystem::remove_all(dir_);
  }

  std::string DbDir() const { return dir_ + "/db"; }

  void Open(size_t budget_bytes = 64 << 20) {
    store_.reset();
    if (resources_ == nullptr) {
      resources_ = DbResources::Create({.block_cache_bytes = 4 << 20, .write_buffer_bytes = 1 << 20});
    }
    auto db = PartitionDb::Open(DbDir(), resources_);
    ASSERT_TRUE(db.ok()) << db.status();
    auto store = StateStore::Open(*std::move(db), {.memory_budget_bytes = budget_bytes});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  static CommitRow RowAt(uint64_t offset) {
    CommitRow row;
    row.uid = "9f86d081884c7d65";
    row.segment = SegmentId(0);
    row.partition = PartitionId(3);
    row.offset = Offset(offset);
    return row;
  }

  void Commit(uint64_t offset) {
    const auto frozen = store_->Freeze(RowAt(offset));
    ASSERT_EQ(frozen->Write(store_->db()), absl::OkStatus());
    store_->OnCommitted();
  }

  void Set(TableId table, std::string_view key, std::string_view value) {
    const auto slot = store_->Find(table, key);
    ASSERT_TRUE(slot.ok()) << slot.status();
    char* const bytes = (*slot)->Mutable(value.size());
    std::copy(value.begin(), value.end(), bytes);
  }
  void Erase(TableId table, std::string_view key) {
    const auto slot = store_->Find(table, key);
    ASSERT_TRUE(slot.ok()) << slot.status();
    (*slot)->Erase();
  }
  void Hint(TableId table, std::string_view key) { store_->Prefetch(table, {&key, 1}); }
  // "-" for a key that does not exist.
  std::string Value(TableId table, std::string_view key) {
    const auto slot = store_->Find(table, key);
    if (!slot.ok()) return slot.status().ToString();
    return (*slot)->exists() ? std::string((*slot)->value()) : "-";
  }
  void WarmUpFully() {
    for (;;) {
      const auto more = store_->WarmUp(1'000);
      ASSERT_TRUE(more.ok()) << more.status();
      if (!*more) return;
    }
  }

  std::string dir_;
  std::shared_ptr<DbResources> resources_;
  std::unique_ptr<StateStore> store_;
};

}  // namespace millrace
