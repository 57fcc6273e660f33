#include "worker/state/state_store.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_format.h"
#include "tests/worker/state/state_fixture.h"

namespace millrace {
namespace {

using StateStoreTest = StateFixture;
using Rows = std::vector<std::pair<std::string, std::string>>;

Rows ScanAll(StateStore& store, TableId table, std::string_view prefix = "") {
  Rows rows;
  EXPECT_EQ(store.Scan(table, {.prefix = prefix},
                       [&](std::string_view key, std::string_view value) {
                         rows.emplace_back(key, value);
                         return true;
                       }),
            absl::OkStatus());
  return rows;
}

TEST_F(StateStoreTest, NewPartitionIsEmptyAndComplete) {
  Open();
  EXPECT_FALSE(store_->Restored().has_value());
  EXPECT_TRUE(store_->complete());
  EXPECT_EQ(Value(0, "a"), "-");
  EXPECT_FALSE(store_->wants_commit());
}

TEST_F(StateStoreTest, MutableKeepsWhatFitsAndZeroesWhatIsNew) {
  Open();
  Set(0, "a", "abcdef");
  auto slot = store_->Find(0, "a");
  (*slot)->Mutable(3);
  EXPECT_EQ(Value(0, "a"), "abc");
  slot = store_->Find(0, "a");
  (*slot)->Mutable(6);
  EXPECT_EQ(Value(0, "a"), std::string("abc\0\0\0", 6));
  slot = store_->Find(0, "a");
  (*slot)->Mutable(5'000);
  EXPECT_EQ((*slot)->value().substr(0, 3), "abc");
  EXPECT_EQ((*slot)->value().size(), 5'000u);
}

TEST_F(StateStoreTest, ErasedKeyStartsEmptyWhenWrittenAgain) {
  Open();
  Set(0, "a", "abcdef");
  Erase(0, "a");
  EXPECT_EQ(Value(0, "a"), "-");
  const auto slot = store_->Find(0, "a");
  (*slot)->Mutable(2);
  EXPECT_EQ(Value(0, "a"), std::string("\0\0", 2));
}

TEST_F(StateStoreTest, TablesAreApart) {
  Open();
  Set(0, "a", "zero");
  Set(63, "a", "last");
  EXPECT_EQ(Value(0, "a"), "zero");
  EXPECT_EQ(Value(63, "a"), "last");
  EXPECT_EQ(Value(1, "a"), "-");
}

TEST_F(StateStoreTest, ReopenGivesTheLastCommitAndNothingAfterIt) {
  Open();
  Set(0, "a", "one");
  Set(0, "b", "one");
  store_->progress().records_in = 2;
  Commit(5);
  Set(0, "a", "two");
  Erase(0, "b");
  store_->progress().records_in = 4;

  Open();
  ASSERT_TRUE(store_->Restored().has_value());
  EXPECT_EQ(store_->Restored()->offset, Offset(5));
  EXPECT_EQ(store_->progress().records_in, 2u);
  EXPECT_EQ(Value(0, "a"), "one");
  EXPECT_EQ(Value(0, "b"), "one");
  EXPECT_EQ(store_->state_keys(), 2u);
  EXPECT_EQ(store_->state_bytes(), 8u);
}

TEST_F(StateStoreTest, ErasedKeysStayErasedAfterReopen) {
  Open();
  Set(0, "a", "one");
  Commit(1);
  Erase(0, "a");
  Commit(2);
  Open();
  EXPECT_EQ(Value(0, "a"), "-");
  EXPECT_EQ(store_->state_keys(), 0u);
}

TEST_F(StateStoreTest, LargeCommitIsIngestedAndReadBack) {
  Open();
  const size_t keys = kIngestRows + 500;
  for (size_t i = 0; i < keys; ++i) Set(1, absl::StrFormat("user-%u", i), absl::StrFormat("v%u", i));
  Commit(9);
  for (size_t i = 0; i < keys; i += 2) Set(1, absl::StrFormat("user-%u", i), "again");
  Erase(1, "user-1");
  Commit(10);
  Open();
  EXPECT_EQ(store_->Restored()->offset, Offset(10));
  EXPECT_EQ(Value(1, "user-0"), "again");
  EXPECT_EQ(Value(1, "user-1"), "-");
  EXPECT_EQ(Value(1, "user-2"), "again");
  EXPECT_EQ(Value(1, "user-2499"), "v2499");
}

TEST_F(StateStoreTest, FreezeKeepsTheValuesOfItsMoment) {
  Open();
  Set(0, "a", "then");
  Set(0, "gone", "then");
  ASSERT_TRUE(store_->Ordered(0).Insert("timer-1").ok());
  const auto frozen = store_->Freeze(RowAt(1));
  Set(0, "a", "later");
  Erase(0, "gone");
  Set(0, "new", "later");
  store_->Ordered(0).Erase("timer-1");
  ASSERT_EQ(frozen->Write(store_->db()), absl::OkStatus());
  store_->OnCommitted();
  EXPECT_EQ(Value(0, "a"), "later");

  Open();
  EXPECT_EQ(Value(0, "a"), "then");
  EXPECT_EQ(Value(0, "gone"), "then");
  EXPECT_EQ(Value(0, "new"), "-");
  EXPECT_TRUE(store_->Ordered(0).Contains("timer-1"));
}

TEST_F(StateStoreTest, ChangesMadeWhileACommitIsWrittenGoIntoTheNext) {
  Open();
  Set(0, "a", "1");
  const auto frozen = store_->Freeze(RowAt(1));
  Set(0, "a", "2");
  Set(0, "b", "2");
  ASSERT_EQ(frozen->Write(store_->db()), absl::OkStatus());
  store_->OnCommitted();
  Commit(2);
  Open();
  EXPECT_EQ(Value(0, "a"), "2");
  EXPECT_EQ(Value(0, "b"), "2");
}

TEST_F(StateStoreTest, KeysOfACommitUnderWayAreNotEvicted) {
  Open();
  Set(0, "a", "old");
  Commit(1);
  Set(0, "a", "new");
  const auto frozen = store_->Freeze(RowAt(2));
  store_->SetBudget(0);
  for (int i = 0; i < 8; ++i) store_->Trim();
  EXPECT_EQ(Value(0, "a"), "new");
  ASSERT_EQ(frozen->Write(store_->db()), absl::OkStatus());
  store_->OnCommitted();
  for (int i = 0; i < 8; ++i) store_->Trim();
  EXPECT_FALSE(store_->complete());
  EXPECT_EQ(Value(0, "a"), "new");
}

TEST_F(StateStoreTest, FailedCommitClosesTheStore) {
  Open();
  Set(0, "a", "1");
  const auto frozen = store_->Freeze(RowAt(1));
  store_->OnCommitFailed(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(store_->Find(0, "a").status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(store_->Scan(0, {}, [](auto, auto) { return true; }).ok());
}

TEST_F(StateStoreTest, RollbackPutsValuesOrderedSetsAndProgressBack) {
  Open();
  Set(0, "kept", "before");
  Set(0, "erased", "before");
  ASSERT_TRUE(store_->Ordered(2).Insert("due-1").ok());
  store_->progress().records_in = 7;
  const uint64_t bytes = store_->state_bytes();

  store_->BeginRecord();
  Set(0, "kept", "changed");
  Set(0, "kept", std::string(300, 'x'));  // grows: the entry moves
  Erase(0, "erased");
  Set(0, "made", "changed");
  store_->Ordered(2).Erase("due-1");
  ASSERT_TRUE(store_->Ordered(2).Insert("due-2").ok());
  ASSERT_TRUE(store_->Ordered(3).Insert("first of its set").ok());
  store_->progress().records_in = 8;
  store_->RollbackRecord();

  EXPECT_EQ(Value(0, "kept"), "before");
  EXPECT_EQ(Value(0, "erased"), "before");
  EXPECT_EQ(Value(0, "made"), "-");
  EXPECT_TRUE(store_->Ordered(2).Contains("due-1"));
  EXPECT_FALSE(store_->Ordered(2).Contains("due-2"));
  EXPECT_EQ(store_->Ordered(3).size(), 0u);
  EXPECT_EQ(store_->progress().records_in, 7u);
  EXPECT_EQ(store_->state_keys(), 2u);
  EXPECT_EQ(store_->state_bytes(), bytes);
}

TEST_F(StateStoreTest, OrderedSetsComeBackInOrder) {
  Open();
  for (const char* item : {"c", "a", "b", "d"}) ASSERT_TRUE(store_->Ordered(5).Insert(item).ok());
  Commit(1);
  store_->Ordered(5).Erase(store_->Ordered(5).First());
  ASSERT_TRUE(store_->Ordered(5).Insert("e").ok());
  store_->Ordered(5).Erase("e");
  Commit(2);
  Open();
  std::string seen;
  while (store_->Ordered(5).size() > 0) {
    seen += store_->Ordered(5).First();
    store_->Ordered(5).Erase(store_->Ordered(5).First());
  }
  EXPECT_EQ(seen, "bcd");
}

TEST_F(StateStoreTest, ItemThatComesAndGoesBetweenCommitsIsNotWritten) {
  Open();
  ASSERT_TRUE(store_->Ordered(0).Insert("a").ok());
  store_->Ordered(0).Erase("a");
  EXPECT_EQ(store_->dirty_rows(), 0u);
}

TEST_F(StateStoreTest, WarmUpMakesTheStoreCompleteAndKeepsNewerValues) {
  Open();
  for (int i = 0; i < 100; ++i) Set(0, absl::StrFormat("k%02d", i), "old");
  Commit(1);
  Open();
  EXPECT_FALSE(store_->complete());
  Set(0, "k50", "new");
  Erase(0, "k60");
  const auto more = store_->WarmUp(10);
  ASSERT_TRUE(more.ok());
  EXPECT_TRUE(*more);
  WarmUpFully();
  EXPECT_TRUE(store_->complete());
  EXPECT_EQ(Value(0, "k50"), "new");
  EXPECT_EQ(Value(0, "k60"), "-");
  EXPECT_EQ(Value(0, "k99"), "old");
}

TEST_F(StateStoreTest, WarmUpStopsAtTheBudget) {
  Open();
  for (int i = 0; i < 5'000; ++i) Set(0, absl::StrFormat("key-%d", i), std::string(100, 'v'));
  Commit(1);
  Open(200 << 10);
  WarmUpFully();
  EXPECT_FALSE(store_->complete());
  EXPECT_LT(store_->memory_bytes(), 300u << 10);
  EXPECT_EQ(Value(0, "key-4999"), std::string(100, 'v'));
}

TEST_F(StateStoreTest, ScanMergesMemoryAndDatabaseInByteOrder) {
  Open();
  for (const char* key : {"a", "b1", "b2", "b3", "c"}) Set(0, key, "old");
  Commit(1);
  Open();
  Set(0, "b0", "new");
  Set(0, "b2", "new");
  Erase(0, "b3");
  Set(1, "b4", "another table");
  EXPECT_EQ(ScanAll(*store_, 0, "b"), (Rows{{"b0", "new"}, {"b1", "old"}, {"b2", "new"}}));
  EXPECT_EQ(ScanAll(*store_, 0).size(), 5u);
  WarmUpFully();
  EXPECT_EQ(ScanAll(*store_, 0, "b"), (Rows{{"b0", "new"}, {"b1", "old"}, {"b2", "new"}}));
}

TEST_F(StateStoreTest, ScanStopsWhenTold) {
  Open();
  for (const char* key : {"a", "b", "c"}) Set(0, key, "x");
  int seen = 0;
  ASSERT_TRUE(store_->Scan(0, {}, [&](auto, auto) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2);
}

TEST_F(StateStoreTest, PrefetchedColdKeysAreFound) {
  Open();
  for (int i = 0; i < 300; ++i) Set(0, absl::StrFormat("k%d", i), absl::StrFormat("v%d", i));
  Commit(1);
  Open();
  for (int i = 0; i < 300; ++i) Hint(0, absl::StrFormat("k%d", i));
  Hint(0, "absent");
  Set(0, "k7", "newer than the hint");
  for (int i = 8; i < 300; ++i) EXPECT_EQ(Value(0, absl::StrFormat("k%d", i)), absl::StrFormat("v%d", i));
  EXPECT_EQ(Value(0, "k7"), "newer than the hint");
  EXPECT_EQ(Value(0, "absent"), "-");
}

TEST_F(StateStoreTest, AsksForACommitWhenTooMuchIsDirty) {
  Open(1 << 20);
  EXPECT_FALSE(store_->wants_commit());
  for (int i = 0; i < 20'000; ++i) Set(0, absl::StrFormat("key-%d", i), "0123456789abcdef");
  store_->Trim();
  EXPECT_TRUE(store_->wants_commit());
  Commit(1);
  for (int i = 0; i < 100; ++i) store_->Trim();
  EXPECT_FALSE(store_->wants_commit());
  EXPECT_LE(store_->memory_bytes(), 1u << 20);
}

Rows ScanRangeOf(StateStore& store, const ScanRange& range) {
  Rows rows;
  EXPECT_TRUE(store
                  .Scan(0, range,
                        [&](std::string_view key, std::string_view value) {
                          rows.emplace_back(key, value);
                          return true;
                        })
                  .ok());
  return rows;
}

// Part of the table is in memory, part on disk, and some of it erased since.
TEST_F(StateStoreTest, PagesOfAScanAreTheScan) {
  Open();
  for (int i = 0; i < 60; ++i) Set(0, absl::StrFormat("k%02d", i), "old");
  Set(0, "", "the empty key");
  Set(0, "z\xff", "no text");
  Commit(1);
  Open();
  for (int i = 0; i < 60; i += 3) Set(0, absl::StrFormat("k%02d", i), "new");
  for (int i = 0; i < 60; i += 5) Erase(0, absl::StrFormat("k%02d", i));
  for (const char* prefix : {"", "k", "k1", "z", "none"}) {
    const Rows all = ScanRangeOf(*store_, {.prefix = prefix});
    for (const size_t page_rows : {1, 2, 7, 1000}) {
      Rows paged;
      std::optional<std::string> after;
      while (true) {
        const Rows page = ScanRangeOf(*store_, {prefix, after, page_rows});
        ASSERT_LE(page.size(), page_rows);
        if (page.empty()) break;
        paged.insert(paged.end(), page.begin(), page.end());
        after = page.back().first;
      }
      EXPECT_EQ(paged, all) << "prefix " << prefix << ", pages of " << page_rows;
    }
  }
  EXPECT_EQ(ScanRangeOf(*store_, {}).size(), 50u);
}

}  // namespace
}  // namespace millrace
