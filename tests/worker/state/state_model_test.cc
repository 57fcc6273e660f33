// Random histories against a model: two std::maps, one as of now and one as of the last commit.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/worker/state/state_fixture.h"

namespace millrace {
namespace {

struct Model {
  std::map<std::pair<TableId, std::string>, std::string> values;
  std::map<TableId, std::set<std::string>> ordered;
  uint64_t records_in = 0;
};

class StateModelTest : public StateFixture, public ::testing::WithParamInterface<uint32_t> {
 protected:
  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }
  TableId AnyTable() { return static_cast<TableId>(Below(3)); }
  std::string AnyKey() { return absl::StrCat("k", Below(2) == 0 ? Below(20) : Below(1'000)); }

  void ChangeOneKey() {
    const TableId table = AnyTable();
    const std::string key = AnyKey();
    if (Below(4) == 0) Hint(table, AnyKey());
    if (Below(5) == 0) {
      Erase(table, key);
      now_.values.erase({table, key});
      return;
    }
    const std::string value(Below(10) == 0 ? Below(600) : Below(24), static_cast<char>('a' + Below(26)));
    Set(table, key, value);
    now_.values[{table, key}] = value;
  }

  void ChangeOneItem() {
    const TableId table = AnyTable();
    const std::string item = absl::StrCat("item-", Below(50));
    if (Below(2) == 0) {
      ASSERT_TRUE(store_->Ordered(table).Insert(item).ok());
      now_.ordered[table].insert(item);
    } else {
      store_->Ordered(table).Erase(item);
      now_.ordered[table].erase(item);
    }
  }

  void RunRecord() {
    const bool may_fail = Below(3) == 0;
    const Model before = may_fail ? now_ : Model();
    if (may_fail) store_->BeginRecord();
    for (uint32_t i = Below(5); i > 0; --i) Below(4) == 0 ? ChangeOneItem() : ChangeOneKey();
    now_.records_in = ++store_->progress().records_in;
    if (!may_fail) return;
    if (Below(2) == 0) {
      store_->RollbackRecord();
      now_ = before;
    } else {
      store_->EndRecord();
    }
  }

  // Its records, and changes between them, which may all be taken back.
  void RunMessage() {
    const Model before = now_;
    store_->BeginMessage();
    for (uint32_t i = Below(8); i > 0; --i) Below(4) == 0 ? ChangeOneItem() : RunRecord();
    if (Below(2) == 0) {
      store_->RollbackMessage();
      now_ = before;
    } else {
      store_->EndMessage();
    }
  }

  void FreezeOrFinish() {
    if (frozen_ == nullptr) {
      frozen_ = store_->Freeze(RowAt(++offset_));
      frozen_model_ = now_;
      return;
    }
    ASSERT_EQ(frozen_->Write(store_->db()), absl::OkStatus());
    committed_ = frozen_model_;
    committed_offset_ = offset_;
    frozen_.reset();
    // The committer's report may come before or after a crash.
    if (Below(8) == 0) {
      Crash();
    } else {
      store_->OnCommitted();
    }
  }

  void Crash() {
    frozen_.reset();
    Open((32 + Below(256)) << 10);
    now_ = committed_;
    ASSERT_EQ(store_->Restored().has_value(), committed_offset_ > 0);
    if (committed_offset_ > 0) {
      ASSERT_EQ(store_->Restored()->offset, Offset(committed_offset_));
    }
  }

  void CheckEverything() {
    uint64_t bytes = 0;
    for (const auto& [key, value] : now_.values) {
      ASSERT_EQ(Value(key.first, key.second), value) << key.second;
      bytes += key.second.size() + value.size();
    }
    ASSERT_EQ(store_->state_keys(), now_.values.size());
    ASSERT_EQ(store_->state_bytes(), bytes);
    ASSERT_EQ(store_->progress().records_in, now_.records_in);
    for (TableId table = 0; table < 3; ++table) {
      auto expected = now_.values.lower_bound({table, ""});
      ASSERT_TRUE(store_
                      ->Scan(table, {},
                             [&](std::string_view key, std::string_view value) {
                               EXPECT_EQ(expected->first.second, key);
                               EXPECT_EQ(expected->second, value);
                               ++expected;
                               return true;
                             })
                      .ok());
      ASSERT_TRUE(expected == now_.values.lower_bound({static_cast<TableId>(table + 1), ""}));
      ASSERT_EQ(store_->Ordered(table).size(), now_.ordered[table].size());
      if (!now_.ordered[table].empty()) {
        ASSERT_EQ(store_->Ordered(table).First(), *now_.ordered[table].begin());
      }
    }
  }

  std::mt19937 random_{GetParam()};
  Model now_, frozen_model_, committed_;
  std::unique_ptr<FrozenCommit> frozen_;
  uint64_t offset_ = 0;
  uint64_t committed_offset_ = 0;
};

TEST_P(StateModelTest, AgreesThroughCommitsEvictionsCrashesAndRollbacks) {
  SCOPED_TRACE(absl::StrCat("seed ", GetParam()));
  Open();
  for (int step = 0; step < 10'000 && !HasFatalFailure(); ++step) {
    Below(4) == 0 ? RunMessage() : RunRecord();
    if (Below(10) == 0) store_->Trim();
    if (Below(20) == 0) {
      ASSERT_TRUE(store_->WarmUp(Below(100)).ok());
    }
    if (Below(100) == 0) store_->SetBudget((16 + Below(200)) << 10);
    if (Below(150) == 0) FreezeOrFinish();
    if (Below(1'000) == 0) Crash();
    if (Below(2'000) == 0) CheckEverything();
  }
  CheckEverything();
}

INSTANTIATE_TEST_SUITE_P(Seeds, StateModelTest, ::testing::Values(1u, 2u, 3u, 4u));

}  // namespace
}  // namespace millrace
