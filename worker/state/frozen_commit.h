// The changes of one commit as they were when it was frozen: gathered by the lane, written by the committer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/state/partition_db.h"

namespace millrace {

// Owned by one thread at a time; refers to nothing outside of itself.
class FrozenCommit {
 public:
  explicit FrozenCommit(std::string commit_row) : commit_row_(std::move(commit_row)) {}

  void Reserve(size_t rows) { rows_.reserve(rows); }
  // Each key once, in any order.
  void Put(uint8_t space, std::string_view key, std::string_view value);
  void Erase(uint8_t space, std::string_view key);

  // Sorts, and writes rows and commit row in one. OK: all of it is in the database; an error: none of it.
  absl::Status Write(PartitionDb& db);

  size_t rows() const { return rows_.size(); }
  // What is written: keys, values and the commit row.
  size_t bytes() const { return bytes_ + commit_row_.size(); }
  // Twice the rows: sorting takes a copy.
  size_t memory_bytes() const {
    return chunk_bytes_ + 2 * rows_.capacity() * sizeof(DbRow) + commit_row_.size();
  }

 private:
  char* Allocate(size_t bytes);

  std::string commit_row_;
  std::vector<DbRow> rows_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t chunk_bytes_ = 0;
  size_t bytes_ = 0;  // of keys and values
};

// Sorts by key: a radix sort over the 8 bytes behind what all keys have in common, and the same again for
// those that are still alike.
void SortRows(std::vector<DbRow>& rows);

}  // namespace millrace
