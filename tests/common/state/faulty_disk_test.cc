// A partition's database on a disk that is full, or refuses to write, for a while.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/fault_page.h"
#include "common/state/partition_db.h"
#include "common/strings.h"

#if MILLRACE_TEST_HOOKS
namespace millrace {
namespace {

// In a process of its own: which page is its own is looked up once. Exits with 0 when the commit is refused
// with `code` and as many rows, and the database, opened again with room, holds the commit before alone.
void RefuseACommit(DiskFault fault, absl::StatusCode code, size_t rows) {
  const std::string folder = StrCat(testing::TempDir(), "/faulty-disk-", getpid());
  std::filesystem::create_directories(folder);
  setenv("MILLRACE_FAULT_PAGE", (folder + "/page").c_str(), 1);
  const auto page = MapFaultPage(folder + "/page");
  const auto resources = DbResources::Create({});
  auto db = PartitionDb::Open(folder + "/db", resources);
  if (!page.ok() || !db.ok()) std::_Exit(1);
  std::string bytes;
  for (size_t i = 0; i < rows; ++i) bytes += StrCat("k", 100'000 + i, "v");
  std::vector<DbRow> all;
  for (size_t i = 0; i < rows; ++i) all.push_back({0, bytes.data() + i * 8, 7, 1});
  if (!(*db)->CommitRows(all, "first").ok()) std::_Exit(2);
  (*page)->disk = fault;
  if ((*db)->CommitRows(all, "second").code() != code) std::_Exit(3);
  if ((*page)->refused_writes == 0) std::_Exit(4);
  (*page)->disk = DiskFault::kNone;
  db->reset();
  db = PartitionDb::Open(folder + "/db", resources);
  if (!db.ok()) std::_Exit(5);
  const auto row = (*db)->Get("k100000");
  const bool good = row.ok() && *row == "v" && (*db)->CommitRows(all, "third").ok();
  db->reset();
  std::filesystem::remove_all(folder);
  std::_Exit(good ? 0 : 6);
}

TEST(FaultyDiskDeathTest, AFullDiskRefusesABatchAndAFile) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const size_t rows : {size_t{10}, kIngestRows}) {
    EXPECT_EXIT(RefuseACommit(DiskFault::kFull, absl::StatusCode::kResourceExhausted, rows),
                testing::ExitedWithCode(0), "");
  }
}

TEST(FaultyDiskDeathTest, AFailingDiskRefusesABatchAndAFile) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const size_t rows : {size_t{10}, kIngestRows}) {
    EXPECT_EXIT(RefuseACommit(DiskFault::kFailing, absl::StatusCode::kUnavailable, rows),
                testing::ExitedWithCode(0), "");
  }
}

}  // namespace
}  // namespace millrace
#endif
