#include "common/state/partition_db.h"

#include <filesystem>
#include <string>
#include <vector>

#include "common/strings.h"
#include "gtest/gtest.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

size_t TablesBelow(const std::filesystem::path& folder) {
  size_t tables = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".sst") ++tables;
  }
  return tables;
}

TEST(PartitionDbTest, FewRowsInEachOfManyDatabasesMakeNoFiles) {
  constexpr size_t kDatabases = 40;
  constexpr size_t kCommits = 3;
  const TempFolder folder("databases");
  DbResources::Options options;
  options.write_buffer_bytes = 4 << 20;  // ten times what is written
  const std::shared_ptr<DbResources> resources = DbResources::Create(options);
  std::vector<std::unique_ptr<PartitionDb>> databases;
  for (size_t i = 0; i < kDatabases; ++i) {
    auto database = PartitionDb::Open(StrCat(folder.path(), "/", i), resources);
    ASSERT_TRUE(database.ok()) << database.status();
    databases.push_back(*std::move(database));
  }
  const std::string key_and_value = StrCat("k", std::string(3000, 'v'));
  const DbRow row = {0, key_and_value.data(), 1, 3000};
  for (size_t commit = 0; commit < kCommits; ++commit) {
    for (const auto& database : databases) ASSERT_TRUE(database->CommitRows({&row, 1}, "row").ok());
  }
  databases.clear();  // a file that is being made is there then
  EXPECT_EQ(TablesBelow(folder.path()), 0u);
}

}  // namespace
}  // namespace millrace
