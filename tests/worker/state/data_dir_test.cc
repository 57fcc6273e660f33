#include "worker/state/data_dir.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

class DataDirTest : public ::testing::Test {
 protected:
  DataDirTest() {
    root_ = (fs::temp_directory_path() / "millrace-data-XXXXXX").string();
    if (mkdtemp(root_.data()) == nullptr) std::abort();
  }
  ~DataDirTest() override { fs::remove_all(root_); }

  std::string root_;
};

TEST_F(DataDirTest, SecondHolderIsToldThePidOfTheFirst) {
  const auto first = DataDir::Open(root_ + "/data");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = DataDir::Open(root_ + "/data");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().ToString().find(absl::StrCat("process ", getpid())), std::string::npos)
      << second.status();
}

TEST_F(DataDirTest, LockIsFreeAgainWhenItsHolderIsGone) {
  ASSERT_TRUE(DataDir::Open(root_ + "/data").ok());
  EXPECT_TRUE(DataDir::Open(root_ + "/data").ok());
}

TEST_F(DataDirTest, KeepsItsIdAsLongAsItIsNotEmptied) {
  const std::string first = (*DataDir::Open(root_ + "/data"))->id();
  EXPECT_EQ(first.size(), 16u);
  EXPECT_EQ((*DataDir::Open(root_ + "/data"))->id(), first);
  EXPECT_NE((*DataDir::Open(root_ + "/other"))->id(), first);
  std::ofstream(root_ + "/data/ID") << "cut";
  EXPECT_EQ((*DataDir::Open(root_ + "/data"))->id().size(), 16u);
}

TEST_F(DataDirTest, FileInPlaceOfTheFolderIsAnErrorThatNamesIt) {
  std::ofstream(root_ + "/file") << "x";
  const auto opened = DataDir::Open(root_ + "/file");
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().ToString().find(root_ + "/file"), std::string::npos) << opened.status();
}

TEST_F(DataDirTest, FullDiskIsNamed) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  fs::create_directories(root_ + "/data");
  fs::create_symlink("/dev/full", root_ + "/data/LOCK");
  const auto opened = DataDir::Open(root_ + "/data");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kResourceExhausted) << opened.status();
}

TEST_F(DataDirTest, ReadOnlyFolderIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  fs::create_directories(root_ + "/data");
  fs::permissions(root_ + "/data", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(DataDir::Open(root_ + "/data").status().code(), absl::StatusCode::kPermissionDenied);
  fs::permissions(root_ + "/data", fs::perms::owner_all);
}

TEST_F(DataDirTest, ListsPartitionsAndForgetsRemovedOnes) {
  const auto dir = DataDir::Open(root_);
  ASSERT_TRUE(dir.ok()) << dir.status();
  const DataDir::Partition a{"aaaa", SegmentId(0), PartitionId(2)}, b{"aaaa", SegmentId(0), PartitionId(10)},
      c{"bbbb", SegmentId(1), PartitionId(0)};
  for (const auto& partition : {c, b, a}) {
    const auto folder = (*dir)->PartitionFolder(partition);
    ASSERT_TRUE(folder.ok());
    fs::create_directories(*folder);
  }
  fs::create_directories(root_ + "/aaaa/not-a-partition");
  EXPECT_EQ(*(*dir)->List(), (std::vector<DataDir::Partition>{a, b, c}));
  EXPECT_EQ((*dir)->Remove(b), absl::OkStatus());
  EXPECT_EQ((*dir)->Remove(c), absl::OkStatus());
  EXPECT_EQ((*dir)->Remove(c), absl::OkStatus());
  EXPECT_EQ(*(*dir)->List(), (std::vector<DataDir::Partition>{a}));
  EXPECT_FALSE(fs::exists(root_ + "/bbbb"));
  EXPECT_TRUE(fs::exists(root_ + "/aaaa/not-a-partition"));
}

TEST_F(DataDirTest, WhatACrashLeftBesideAPartitionIsRemovedAtTheNextStart) {
  const DataDir::Partition partition{"aaaa", SegmentId(0), PartitionId(2)};
  {
    const auto dir = DataDir::Open(root_);
    fs::create_directories(*(*dir)->PartitionFolder(partition));
    for (const char* what : {"restore", "checkpoint-7"}) {
      const auto aside = (*dir)->AsideFolder(partition, what);
      ASSERT_TRUE(aside.ok()) << aside.status();
      EXPECT_FALSE(fs::exists(*aside));
      fs::create_directories(*aside);
      std::ofstream(*aside + "/CURRENT") << "x";
      EXPECT_EQ(*(*dir)->AsideFolder(partition, what), *aside);
      EXPECT_FALSE(fs::exists(*aside)) << "it is empty for its next user";
      fs::create_directories(*aside);
    }
    fs::create_directories(root_ + "/aaaa/notes.txt");
    EXPECT_EQ(*(*dir)->List(), (std::vector<DataDir::Partition>{partition}));
  }
  const auto dir = DataDir::Open(root_);
  EXPECT_TRUE(fs::exists(root_ + "/aaaa/0-2"));
  EXPECT_TRUE(fs::exists(root_ + "/aaaa/notes.txt"));
  EXPECT_FALSE(fs::exists(root_ + "/aaaa/0-2.restore"));
  EXPECT_FALSE(fs::exists(root_ + "/aaaa/0-2.checkpoint-7"));
}

TEST_F(DataDirTest, AFolderThatWasMadeBesideItTakesAPartitionsPlace) {
  const auto dir = DataDir::Open(root_);
  const DataDir::Partition partition{"aaaa", SegmentId(1), PartitionId(0)};
  const std::string folder = *(*dir)->PartitionFolder(partition);
  for (const char* content : {"first", "second"}) {
    const std::string aside = *(*dir)->AsideFolder(partition, "restore");
    fs::create_directories(aside);
    std::ofstream(aside + "/" + content) << content;
    ASSERT_EQ((*dir)->Replace(partition, aside), absl::OkStatus());
    EXPECT_TRUE(fs::exists(folder + "/" + content));
    EXPECT_FALSE(fs::exists(aside));
  }
  EXPECT_FALSE(fs::exists(folder + "/first"));
}

}  // namespace
}  // namespace millrace
