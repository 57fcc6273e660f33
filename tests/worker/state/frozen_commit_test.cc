#include "worker/state/frozen_commit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "worker/state/memory_plan.h"

namespace millrace {
namespace {

void ExpectSorted(std::set<std::string> keys) {
  std::vector<const std::string*> shuffled;
  for (const std::string& key : keys) shuffled.push_back(&key);
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(7));
  std::vector<DbRow> rows;
  for (const std::string* key : shuffled)
    rows.push_back({0, key->data(), static_cast<uint32_t>(key->size()), 0});
  SortRows(rows);
  ASSERT_EQ(rows.size(), keys.size());
  auto expected = keys.begin();
  for (const DbRow& row : rows) ASSERT_EQ(row.key(), *expected++);
}

TEST(SortRowsTest, SortsKeysThatDifferFarBehindACommonPrefix) {
  std::set<std::string> keys;
  for (int i = 0; i < 5'000; ++i)
    keys.insert(absl::StrCat("a rather long common prefix/", i * 7919 % 100'003));
  ExpectSorted(keys);
}

TEST(SortRowsTest, SortsTablesOfDifferentKeysTogether) {
  std::set<std::string> keys;
  for (int i = 0; i < 3'000; ++i) {
    keys.insert(absl::StrCat("\x40user-00", i));
    keys.insert(absl::StrCat("\x80", std::string(6, '\0'), i));
  }
  ExpectSorted(keys);
}

TEST(SortRowsTest, KeysThatEndInZerosAreToldApart) {
  std::set<std::string> keys;
  for (size_t zeros = 0; zeros < 40; ++zeros) {
    keys.insert("k" + std::string(zeros, '\0'));
    for (int i = 0; i < 10; ++i)
      keys.insert("k" + std::string(9, '\0') + absl::StrCat(i, std::string(zeros, '\0')));
  }
  ExpectSorted(keys);
}

TEST(SortRowsTest, BytesAreUnsigned) {
  std::set<std::string> keys;
  std::mt19937 random(3);
  while (keys.size() < 2'000) {
    std::string key(random() % 12, '\0');
    for (char& c : key) c = static_cast<char>(random());
    keys.insert(key);
  }
  std::vector<std::string> views(keys.begin(), keys.end());
  ExpectSorted(keys);
}

TEST(SortRowsTest, NothingToSort) {
  std::vector<DbRow> rows;
  SortRows(rows);
  EXPECT_TRUE(rows.empty());
}

TEST(MemoryPlanTest, SharesAddUpToTheWhole) {
  struct Case {
    size_t total_bytes, partitions;
  };
  for (const Case& c :
       {Case{256 << 20, 16}, Case{256 << 20, 1}, Case{64 << 20, 128}, Case{size_t{4} << 30, 64}}) {
    const MemoryPlan plan = PlanMemory(c.total_bytes, c.partitions);
    EXPECT_LE(plan.db.block_cache_bytes + c.partitions * plan.partition_bytes, c.total_bytes)
        << c.total_bytes;
    EXPECT_GE(plan.db.block_cache_bytes + c.partitions * plan.partition_bytes, c.total_bytes * 9 / 10);
    EXPECT_LT(plan.db.write_buffer_bytes, plan.db.block_cache_bytes);
  }
}

TEST(MemoryPlanTest, TooLittleMemoryStillGivesEachSomething) {
  const MemoryPlan plan = PlanMemory(0, 0);
  EXPECT_GT(plan.db.block_cache_bytes, 0u);
  EXPECT_GT(plan.partition_bytes, 0u);
}

TEST(FrozenCommitTest, CountsTheBytesThatItWrites) {
  FrozenCommit commit("row");
  EXPECT_EQ(commit.bytes(), 3u);
  commit.Put(1, "key", "value");  // and the byte that tells the table
  commit.Erase(1, "other");
  EXPECT_EQ(commit.bytes(), 3u + 9u + 6u);
}

}  // namespace
}  // namespace millrace
