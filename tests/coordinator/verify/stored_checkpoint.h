// A checkpoint of a replayed partition, put into a store as a worker's would be.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"
#include "common/hash/sha256.h"
#include "common/state/partition_db.h"
#include "common/state/row_key.h"
#include "common/strings.h"
#include "coordinator/verify/partition_replay.h"
#include "gtest/gtest.h"
#include "tests/support/temp_folder.h"

namespace millrace {

// Of a partition whose stages set no timers: ordered sets are left out. Each is of an epoch of its own, so that none
// has a file of another.
inline void StoreCheckpoint(BlobStore& store, const std::string& uid, PartitionReplay& replay,
                            const StreamInfo& log, int64_t offset_time_ns) {
  const TempFolder folder("stored-checkpoint");
  const std::string& scratch = folder.path();
  CommitRow commit;
  commit.uid = uid;
  commit.partition = replay.partition();
  commit.offset = replay.offset();
  commit.epoch = Epoch(replay.offset().value());
  commit.input_created_ns = log.created_ns;
  commit.offset_time_ns = offset_time_ns;
  commit.input_cursors = replay.cursors().Encode();
  commit.progress = replay.progress();

  std::vector<std::string> bytes;
  std::vector<size_t> key_sizes;
  for (size_t table = 0; table < kMaxStateTables; ++table) {
    const auto scanned = replay.state().Scan(static_cast<TableId>(table), {}, [&](auto key, auto value) {
      bytes.push_back(StrCat(RowKey(TableSpace(static_cast<TableId>(table)), key), value));
      key_sizes.push_back(1 + key.size());
      return true;
    });
    ASSERT_TRUE(scanned.ok()) << scanned;
  }
  std::vector<DbRow> rows;
  for (size_t i = 0; i < bytes.size(); ++i) {
    rows.push_back({0, bytes[i].data(), static_cast<uint32_t>(key_sizes[i]),
                    static_cast<uint32_t>(bytes[i].size() - key_sizes[i])});
  }
  auto db = PartitionDb::Open(scratch + "/db", DbResources::Create({}));
  ASSERT_TRUE(db.ok()) << db.status();
  ASSERT_TRUE((*db)->CommitRows(rows, EncodeCommitRow(commit)).ok());
  ASSERT_TRUE((*db)->LinkCheckpoint(scratch + "/linked").ok());

  const CheckpointLayout layout(uid, kFirstSegment, replay.partition());
  CheckpointManifest manifest = {"test", "j", {commit.epoch, commit.offset}, 1, commit, {}};
  for (const auto& entry : std::filesystem::directory_iterator(scratch + "/linked")) {
    std::stringstream content;
    content << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    const std::string name = entry.path().filename(), path = layout.File(manifest.id, name);
    Sha256 sha;
    sha.Update(content.str());
    manifest.files.push_back(
        {name, path.substr(layout.files().size()), content.str().size(), Hex(sha.Finish())});
    ASSERT_TRUE(store.Put(path, content.str()).ok());
  }
  ASSERT_TRUE(store.Put(layout.Manifest(manifest.id), EncodeManifest(manifest)).ok());
}

}  // namespace millrace
