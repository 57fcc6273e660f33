// A process that dies inside a commit leaves the old commit or the new one, whole.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/build_config.h"
#include "tests/worker/state/state_fixture.h"

namespace millrace {
namespace {

class CrashInCommitTest : public StateFixture {
 protected:
  void WriteAll(size_t keys, uint64_t offset) {
    const std::string value = absl::StrCat("offset-", offset);
    for (size_t i = 0; i < keys; ++i) Set(0, absl::StrCat("key-", i), value);
    ASSERT_TRUE(store_->Ordered(0).Insert(value).ok());
    Commit(offset);
  }

  // Commits offset 1, then dies at `failpoint` of the commit of offset 2. In a process of its own, forked
  // before RocksDB has threads; the failpoint counts from the first commit.
  void DieAt(const std::string& failpoint, size_t keys, const std::string& defect = "", int passes = 2) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      setenv("MILLRACE_FAILPOINT", absl::StrCat(failpoint, ":", passes).c_str(), 1);
      if (!defect.empty()) setenv("MILLRACE_DEFECT", defect.c_str(), 1);
      Open();
      WriteAll(keys, 1);
      WriteAll(keys, 2);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }

  void ExpectWholeCommit(size_t keys, uint64_t offset) {
    Open();
    ASSERT_TRUE(store_->Restored().has_value());
    EXPECT_EQ(store_->Restored()->offset, Offset(offset));
    EXPECT_EQ(store_->state_keys(), keys);
    EXPECT_EQ(store_->Ordered(0).size(), offset);
    for (size_t i = 0; i < keys; ++i)
      ASSERT_EQ(Value(0, absl::StrCat("key-", i)), absl::StrCat("offset-", offset));
  }
};

#if MILLRACE_TEST_HOOKS
TEST_F(CrashInCommitTest, OldCommitWhenKilledBetweenFileAndIngest) {
  DieAt("in_commit", kIngestRows);
  ExpectWholeCommit(kIngestRows, 1);
  EXPECT_FALSE(std::filesystem::exists(DbDir() + "/commit.part"));
}

TEST_F(CrashInCommitTest, OldCommitWhenKilledBeforeTheBatchIsWritten) {
  DieAt("in_commit", 10);
  ExpectWholeCommit(10, 1);
}

TEST_F(CrashInCommitTest, NewCommitWhenKilledAfterTheIngest) {
  DieAt("after_commit", kIngestRows);
  ExpectWholeCommit(kIngestRows, 2);
}

TEST_F(CrashInCommitTest, NewCommitWhenKilledAfterTheBatch) {
  DieAt("after_commit", 10);
  ExpectWholeCommit(10, 2);
}

TEST_F(CrashInCommitTest, DefectThatWritesTheOffsetApartIsSeen) {
  DieAt("in_commit", 10, "offset_outside_state_write", 3);  // the first commit passes it twice
  Open();
  EXPECT_EQ(store_->Restored()->offset, Offset(1));
  EXPECT_EQ(Value(0, "key-0"), "offset-2") << "the state ran ahead of its offset, as the defect says";
}
#endif

using PartitionDbTest = StateFixture;

void FlipByte(const std::filesystem::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 0x40);
  file.seekp(at);
  file.put(byte);
}

TEST_F(PartitionDbTest, CorruptFileIsDataLossAndNamesTheFolder) {
  Open();
  for (size_t i = 0; i < 2 * kIngestRows; ++i) Set(0, absl::StrCat("key-", i), "0123456789");
  Commit(1);
  store_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(DbDir())) {
    if (entry.path().extension() == ".sst") FlipByte(entry.path(), 30'000);
  }
  Open();
  absl::Status status;
  for (size_t i = 0; i < 2 * kIngestRows && status.ok(); ++i) {
    status = store_->Find(0, absl::StrCat("key-", i)).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_NE(status.ToString().find(DbDir()), std::string::npos) << status;
  EXPECT_EQ(store_->db().VerifyChecksums().code(), absl::StatusCode::kDataLoss);
}

TEST_F(PartitionDbTest, FolderWithoutItsCurrentFileIsNotTakenForNew) {
  Open();
  Set(0, "a", "1");
  Commit(1);
  store_.reset();
  std::filesystem::remove(DbDir() + "/CURRENT");
  EXPECT_EQ(PartitionDb::Open(DbDir(), resources_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(PartitionDbTest, DatabaseThatIsOpenIsRefused) {
  Open();
  EXPECT_EQ(PartitionDb::Open(DbDir(), resources_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PartitionDbTest, LinkedCheckpointIsADatabaseOfItsOwn) {
  Open();
  Set(0, "a", "1");
  Commit(1);
  ASSERT_EQ(store_->db().LinkCheckpoint(dir_ + "/copy"), absl::OkStatus());
  Set(0, "a", "2");
  Commit(2);
  store_.reset();
  const auto copy = PartitionDb::Open(dir_ + "/copy", resources_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  const auto row = DecodeCommitRow(**(*copy)->Get(kCommitRowKey));
  ASSERT_TRUE(row.ok());
  EXPECT_EQ(row->offset, Offset(1));
}

TEST_F(PartitionDbTest, ReadersSeeWhatTheyBeganWithWhileAFileIsIngested) {
  Open();
  Set(0, "a", "1");
  Commit(1);
  const auto cursor = store_->db().Seek(RowKey(TableSpace(0), "a"));
  for (size_t i = 0; i < kIngestRows; ++i) Set(0, absl::StrCat("b", i), "2");
  Set(0, "a", "2");
  Commit(2);
  EXPECT_EQ(cursor->value(), "1");
  cursor->Next();
  EXPECT_FALSE(cursor->Valid());
}

TEST_F(PartitionDbTest, SmallAndLargeCommitsTakeTurns) {
  Open();
  for (uint64_t offset = 1; offset <= 40; ++offset) {
    const size_t keys = offset % 3 == 0 ? kIngestRows : 5;
    for (size_t i = 0; i < keys; ++i) Set(0, absl::StrCat("key-", i), absl::StrCat(offset));
    Commit(offset);
  }
  Open();
  EXPECT_EQ(store_->Restored()->offset, Offset(40));
  EXPECT_EQ(Value(0, "key-0"), "40");
  EXPECT_EQ(Value(0, "key-100"), "39");
}

TEST_F(PartitionDbTest, MillionKeysStayWithinTheBudget) {
  constexpr size_t kBudget = 32 << 20;
  constexpr size_t kKeys = 1'000'000;
  Open(kBudget);
  uint64_t offset = 0;
  size_t most = 0;
  for (size_t i = 0; i < kKeys; ++i) {
    Set(0, absl::StrCat("user-", i), "0123456789abcdef");
    if (i % 100 != 99) continue;
    store_->Trim();
    if (store_->wants_commit() || i % 50'000 == 49'999) Commit(++offset);
    most = std::max(most, store_->memory_bytes());
  }
  EXPECT_LT(most, kBudget + kBudget / 4);
  EXPECT_EQ(store_->state_keys(), kKeys);
  for (size_t i = 0; i < kKeys; i += 9'973) ASSERT_EQ(Value(0, absl::StrCat("user-", i)), "0123456789abcdef");
}

}  // namespace
}  // namespace millrace
