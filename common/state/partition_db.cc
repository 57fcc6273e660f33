#include "common/state/partition_db.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/state/faulty_disk.h"
#include "common/state/row_key.h"
#include "common/strings.h"

namespace millrace {
namespace {

// RocksDB leaves files that it has no pattern for alone, so that an unfinished commit waits here to be
// replaced.
constexpr char kUnfinishedCommit[] = "commit.part";
constexpr size_t kMaxLogLineBytes = 512;
// How RocksDB reports, as an error, that a database it is about to make is not there yet.
constexpr std::string_view kNoFolderYet = "dir NotFound: ";
// Two of its parts hold file deletions back at once whenever a checkpoint is linked.
constexpr std::string_view kDeletionsHeldBack = "File Deletions ";
// Of every file that VerifyChecksums reads.
constexpr std::string_view kNoFileId = "without unique ID to verify";
// What a database without much to write takes of the write buffers that all share. By itself RocksDB takes an
// eighth of `write_buffer_size` at the first row: a hundred partitions would be over the limit for good, and
// over the limit every commit makes a file.
constexpr size_t kArenaBlockBytes = 16 << 10;
constexpr size_t kRowsAhead = 8;  // fetched from memory before they are written

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status ToStatus(const rocksdb::Status& status, const std::string& dir, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = StrCat("cannot ", doing, " the state in ", dir, ": ", status.ToString());
  if (status.IsCorruption()) {
    return absl::DataLossError(
        StrCat(text, " — it was damaged on disk — remove the folder, and the log is run again"));
  }
  if (status.IsNoSpace())
    return absl::ResourceExhaustedError(StrCat(text, " — the disk is full — make room on it"));
  if (status.ToString().find("lock") != std::string::npos) {
    return absl::FailedPreconditionError(
        StrCat(text, " — another process has it open — end that one, or give this one a --data of its own"));
  }
  return absl::UnavailableError(StrCat(text, " — the disk refused it — it is tried again"));
}

// RocksDB's own log, from warnings on, in ours. Not a file beside the data: on a full disk the file's writer
// fails, and Debian's RocksDB, built with its assertions, aborts at the next line that is logged.
class ForwardingLogger : public rocksdb::Logger {
 public:
  ForwardingLogger() : rocksdb::Logger(rocksdb::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char text[kMaxLogLineBytes];
    std::vsnprintf(text, sizeof(text), format, arguments);
    for (const std::string_view no_trouble : {kNoFolderYet, kDeletionsHeldBack, kNoFileId}) {
      if (std::string_view(text).find(no_trouble) != std::string_view::npos) return;
    }
    LogWarning("rocksdb", {{"says", ToStd(absl::StripAsciiWhitespace(text))}});
  }
  void LogHeader(const char*, va_list) override {}  // every option of every database
};

class SharedResources : public DbResources {
 public:
  explicit SharedResources(const Options& options)
      : cache(rocksdb::NewLRUCache(options.block_cache_bytes, /*num_shard_bits=*/4)),
        write_buffers(std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes, cache)),
        background_threads(options.background_threads) {
    rocksdb::Env* env = rocksdb::Env::Default();
    env->SetBackgroundThreads(options.background_threads, rocksdb::Env::LOW);
    env->SetBackgroundThreads(1, rocksdb::Env::HIGH);
    // Compaction is never urgent here; lanes are.
    env->LowerThreadPoolCPUPriority(rocksdb::Env::LOW);
  }

  absl::StatusOr<std::unique_ptr<PartitionDb>> OpenDb(const std::string& dir) override;

  const std::shared_ptr<rocksdb::Cache> cache;
  const std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
  const std::shared_ptr<rocksdb::Logger> log = std::make_shared<ForwardingLogger>();
  const int background_threads;
};

// Indexes and filters live in the block cache, in pieces, so that its size bounds them.
rocksdb::BlockBasedTableOptions TableOptions(const SharedResources& resources) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = resources.cache;
  table.block_size = 8 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4 << 10;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = false;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  return table;
}

// A commit a second is a file a second at level 0. Merging reads every ingested row once whatever the
// trigger; a late trigger lets rows that are overwritten again and again meet the level below less often.
rocksdb::Options DbOptions(const SharedResources& resources) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(resources)));
  options.write_buffer_manager = resources.write_buffers;
  options.write_buffer_size = 4 << 20;
  options.arena_block_size = kArenaBlockBytes;
  // A commit's rows come sorted: within a table each is looked for from where the one before went.
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1));
  options.max_write_buffer_number = 2;
  options.compression = rocksdb::kNoCompression;
  options.level0_file_num_compaction_trigger = 12;
  options.level0_slowdown_writes_trigger = kMaxUnmergedFiles;
  options.level0_stop_writes_trigger = 2 * kMaxUnmergedFiles;
  options.level_compaction_dynamic_level_bytes = true;
  options.max_bytes_for_level_base = 64 << 20;
  options.target_file_size_base = 16 << 20;
  options.max_background_jobs = resources.background_threads + 1;
  options.max_open_files = 128;
  options.max_manifest_file_size = 1 << 20;  // every checkpoint has a copy of it
  options.bytes_per_sync = 1 << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
#if MILLRACE_TEST_HOOKS
  if (rocksdb::Env* const disk = FaultyDisk(); disk != nullptr) options.env = disk;
#endif
  options.info_log = resources.log;
  options.info_log_level = rocksdb::WARN_LEVEL;
  return options;
}

class RocksCursor : public PartitionDb::Cursor {
 public:
  RocksCursor(std::unique_ptr<rocksdb::Iterator> iterator, const std::string& dir)
      : iterator_(std::move(iterator)), dir_(dir) {}
  bool Valid() const override { return iterator_->Valid(); }
  void Next() override { iterator_->Next(); }
  std::string_view key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  absl::Status status() const override { return ToStatus(iterator_->status(), dir_, "read"); }

 private:
  const std::unique_ptr<rocksdb::Iterator> iterator_;
  const std::string& dir_;
};

class RocksPartitionDb : public PartitionDb {
 public:
  RocksPartitionDb(std::string dir, std::shared_ptr<SharedResources> resources, rocksdb::Options options,
                   std::unique_ptr<rocksdb::DB> db)
      : dir_(std::move(dir)),
        unfinished_(dir_ + "/" + kUnfinishedCommit),
        resources_(std::move(resources)),
        options_(std::move(options)),
        db_(std::move(db)) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) override {
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), ToSlice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return ToStatus(status, dir_, "read");
    return value;
  }

  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      absl::Span<const std::string> keys) override {
    std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
    std::vector<rocksdb::PinnableSlice> found(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slices.size(), slices.data(),
                  found.data(), statuses.data());
    std::vector<std::optional<std::string>> values(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      if (!statuses[i].ok()) return ToStatus(statuses[i], dir_, "read");
      values[i].emplace(found[i].data(), found[i].size());
    }
    return values;
  }

  std::unique_ptr<Cursor> Seek(std::string_view from) override {
    rocksdb::ReadOptions read;
    read.fill_cache = false;  // a walk would push out what lookups need
    std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(read));
    iterator->Seek(ToSlice(from));
    return std::make_unique<RocksCursor>(std::move(iterator), dir_);
  }

  absl::Status CommitRows(absl::Span<const DbRow> rows, std::string_view commit_row) override {
    if (MILLRACE_DEFECT("offset_outside_state_write")) {
      const rocksdb::Status state = WriteBatch(rows, std::nullopt);
      MILLRACE_FAILPOINT("in_commit");
      const rocksdb::Status offset = state.ok() ? WriteBatch({}, commit_row) : state;
      MILLRACE_FAILPOINT("after_commit");
      return ToStatus(offset, dir_, "write");
    }
    const rocksdb::Status status =
        rows.size() >= kIngestRows ? IngestFile(rows, commit_row) : WriteBatch(rows, commit_row);
    MILLRACE_FAILPOINT("after_commit");
    return ToStatus(status, dir_, "write");
  }

  absl::Status LinkCheckpoint(const std::string& dir) override {
    rocksdb::Checkpoint* checkpoint = nullptr;
    rocksdb::Status status = rocksdb::Checkpoint::Create(db_.get(), &checkpoint);
    const std::unique_ptr<rocksdb::Checkpoint> owned(checkpoint);
    if (status.ok()) status = owned->CreateCheckpoint(dir, /*log_size_for_flush=*/0);
    return ToStatus(status, dir_, StrCat("link to ", dir));
  }

  absl::Status VerifyChecksums() override { return ToStatus(db_->VerifyChecksum(), dir_, "verify"); }
  const std::string& dir() const override { return dir_; }

 private:
  // The log is not synced: a power cut rewinds state and offset together, and the stream still has the rest.
  rocksdb::Status WriteBatch(absl::Span<const DbRow> rows, std::optional<std::string_view> commit_row) {
    rocksdb::WriteBatch batch;
    rocksdb::Status status;
    if (commit_row.has_value()) status = batch.Put(ToSlice(kCommitRowKey), ToSlice(*commit_row));
    for (const DbRow& row : rows) {
      if (!status.ok()) return status;
      status = row.erased() ? batch.Delete(ToSlice(row.key()))
                            : batch.Put(ToSlice(row.key()), ToSlice(row.value()));
    }
    if (!status.ok()) return status;
    if (commit_row.has_value()) MILLRACE_FAILPOINT("in_commit");
    return db_->Write(rocksdb::WriteOptions(), &batch);
  }

  rocksdb::Status IngestFile(absl::Span<const DbRow> rows, std::string_view commit_row) {
    rocksdb::Status status = WaitForCompaction();
    if (!status.ok()) return status;
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options_, db_->DefaultColumnFamily(),
                                  /*invalidate_page_cache=*/false);
    status = writer.Open(unfinished_);
    if (status.ok()) status = writer.Put(ToSlice(kCommitRowKey), ToSlice(commit_row));
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!status.ok()) return status;
      // In memory they lie in the order in which they were changed, not in that of their keys.
      if (i + kRowsAhead < rows.size()) __builtin_prefetch(rows[i + kRowsAhead].data);
      const DbRow& row = rows[i];
      status = row.erased() ? writer.Delete(ToSlice(row.key()))
                            : writer.Put(ToSlice(row.key()), ToSlice(row.value()));
    }
    if (status.ok()) status = writer.Finish();
    if (!status.ok()) return status;
    MILLRACE_FAILPOINT("in_commit");
    rocksdb::IngestExternalFileOptions ingest;
    ingest.move_files = true;
    ingest.write_global_seqno = false;   // a committed file never changes again: it can be uploaded as it is
    ingest.snapshot_consistency = true;  // cursors keep seeing the commit that they began with
    return db_->IngestExternalFile({unfinished_}, ingest);
  }

  // Ingestion is not slowed by RocksDB's own write stalls.
  rocksdb::Status WaitForCompaction() {
    uint64_t files = 0;
    std::string text;
    if (db_->GetProperty("rocksdb.num-files-at-level0", &text))
      files = std::strtoull(text.c_str(), nullptr, 10);
    if (files < static_cast<uint64_t>(kMaxUnmergedFiles)) return rocksdb::Status::OK();
    return db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr);
  }

  const std::string dir_;
  const std::string unfinished_;
  const std::shared_ptr<SharedResources> resources_;
  const rocksdb::Options options_;
  const std::unique_ptr<rocksdb::DB> db_;
};

// RocksDB would take a folder without CURRENT for a new database, and the state would be silently empty.
absl::Status CheckNotStripped(const std::string& dir) {
  std::error_code error;
  if (!std::filesystem::exists(dir, error) || std::filesystem::exists(dir + "/CURRENT", error)) {
    return absl::OkStatus();
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
    const std::string extension = entry.path().extension();
    if (extension == ".sst" || extension == ".log") {
      return absl::DataLossError(StrCat(
          "cannot open the state in ", dir, ": it has ", entry.path().filename().string(),
          " but no CURRENT file — a part of it was removed — remove the folder, and the log is run again"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PartitionDb>> SharedResources::OpenDb(const std::string& dir) {
  if (absl::Status status = CheckNotStripped(dir); !status.ok()) return status;
  auto shared = std::static_pointer_cast<SharedResources>(shared_from_this());
  rocksdb::Options options = DbOptions(*shared);
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, dir, &db);
  if (!status.ok()) return ToStatus(status, dir, "open");
  std::unique_ptr<rocksdb::DB> owned(db);
  std::error_code error;
  std::filesystem::remove(dir + "/" + kUnfinishedCommit,
                          error);  // a crash left it; the next commit replaces it
  return std::make_unique<RocksPartitionDb>(dir, std::move(shared), std::move(options), std::move(owned));
}

}  // namespace

std::shared_ptr<DbResources> DbResources::Create(const Options& options) {
  return std::make_shared<SharedResources>(options);
}

absl::StatusOr<std::unique_ptr<PartitionDb>> PartitionDb::Open(
    const std::string& dir, const std::shared_ptr<DbResources>& resources) {
  return resources->OpenDb(dir);
}

absl::Status PartitionDb::Destroy(const std::string& dir) {
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  if (error) return absl::UnavailableError(StrCat("cannot remove ", dir, ": ", error.message()));
  return absl::OkStatus();
}

absl::Status PartitionDb::Scan(std::string_view prefix, std::string_view from,
                               const std::function<bool(std::string_view, std::string_view)>& visit) {
  const std::unique_ptr<Cursor> cursor = Seek(std::max(prefix, from));
  for (; cursor->Valid() && cursor->key().starts_with(prefix); cursor->Next()) {
    if (!visit(cursor->key(), cursor->value())) return absl::OkStatus();
  }
  return cursor->status();
}

}  // namespace millrace
