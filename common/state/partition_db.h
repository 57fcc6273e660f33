// The database of one partition, over RocksDB: the truth at commit, and the overflow beyond the memory
// budget. Every write is a whole commit with its commit row inside: it is there or it is not, whatever
// crashes.
//
// The only place that includes rocksdb/*, with faulty_disk.cc, which tests put under it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace millrace {

// From this many rows on, a commit is a sorted file that is ingested; below, a batch in the write-ahead log.
inline constexpr size_t kIngestRows = 2'000;
// A commit waits for a compaction when this many files are unmerged: reads would pay for each of them.
inline constexpr int kMaxUnmergedFiles = 64;

// What the databases of a process share: one block cache, one limit for write buffers, the background
// threads. Thread-safe; outlives every PartitionDb opened with it. A simulation puts databases of its own
// below it.
class PartitionDb;
class DbResources : public std::enable_shared_from_this<DbResources> {
 public:
  struct Options {
    size_t block_cache_bytes = 64 << 20;   // blocks, indexes and filters
    size_t write_buffer_bytes = 16 << 20;  // of all databases together, charged to the block cache
    int background_threads = 1;
  };
  static std::shared_ptr<DbResources> Create(const Options& options);
  virtual ~DbResources() = default;
  // As PartitionDb::Open.
  virtual absl::StatusOr<std::unique_ptr<PartitionDb>> OpenDb(const std::string& dir) = 0;
};

// A row as a commit hands it over: the key's bytes, the value's right behind them.
struct DbRow {
  static constexpr uint32_t kErased = UINT32_MAX;

  uint64_t order = 0;  // scratch of the sort
  const char* data = nullptr;
  uint32_t key_size = 0;
  uint32_t value_size = 0;  // or kErased

  bool erased() const { return value_size == kErased; }
  std::string_view key() const { return {data, key_size}; }
  std::string_view value() const {
    return erased() ? std::string_view() : std::string_view(data + key_size, value_size);
  }
};

// Thread-safe: the lane reads while the committer writes. CommitRows is called by one thread at a time.
//
// Errors, each naming the folder: DATA_LOSS where the files are corrupt, RESOURCE_EXHAUSTED where the disk is
// full, FAILED_PRECONDITION where another process has the database open, UNAVAILABLE for other I/O errors.
class PartitionDb {
 public:
  // Opens or creates. A folder that lost its CURRENT file but has others is DATA_LOSS, never a fresh
  // database.
  static absl::StatusOr<std::unique_ptr<PartitionDb>> Open(const std::string& dir,
                                                           const std::shared_ptr<DbResources>& resources);
  static absl::Status Destroy(const std::string& dir);  // REQUIRES: not open
  virtual ~PartitionDb() = default;

  virtual absl::StatusOr<std::optional<std::string>> Get(std::string_view key) = 0;
  // One answer a key, in their order.
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      absl::Span<const std::string> keys) = 0;

  // Walks the rows of `prefix` in key order, as they were when the cursor was made.
  class Cursor {
   public:
    virtual ~Cursor() = default;
    virtual bool Valid() const = 0;
    virtual void Next() = 0;  // REQUIRES: Valid()
    virtual std::string_view key() const = 0;
    virtual std::string_view value() const = 0;
    virtual absl::Status status() const = 0;  // to be asked when no longer Valid()
  };
  // Rows with from <= key, to the end of the database; the caller stops where it wants.
  virtual std::unique_ptr<Cursor> Seek(std::string_view from) = 0;
  // Calls `visit` for the rows of `prefix` that are not below `from`, in key order, until it returns false.
  absl::Status Scan(std::string_view prefix, std::string_view from,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit);

  // Writes the rows and the commit row, all or nothing. A killed process keeps it; a power cut may take the
  // last commits, each of them whole.
  // REQUIRES: `rows` sorted by key, each key once, none the commit row's.
  virtual absl::Status CommitRows(absl::Span<const DbRow> rows, std::string_view commit_row) = 0;

  // Makes `dir` (which must not exist) a database of its own with the last commit, by hard links where it
  // can.
  virtual absl::Status LinkCheckpoint(const std::string& dir) = 0;
  // Reads every file through its checksums.
  virtual absl::Status VerifyChecksums() = 0;
  virtual const std::string& dir() const = 0;
};

}  // namespace millrace
