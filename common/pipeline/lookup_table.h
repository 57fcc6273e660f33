// The table of a `lookup` stage, in memory: a row for each key.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace millrace {

inline constexpr size_t kMaxTableBytes = 64 << 20;  // of the file

// Immutable, so thread-safe.
class LookupTable {
 public:
  // `name` ends with .csv (a header row first) or .jsonl (an object a line). `key`: the column whose text, as it was
  // written, a row is found by. INVALID_ARGUMENT, `NAME:LINE: …` in one line: a row that is none, has no key, or has the
  // key of an earlier one.
  static absl::StatusOr<std::shared_ptr<const LookupTable>> Parse(const std::string& name,
                                                                  std::string_view text,
                                                                  const std::string& key);

  // The row as one packed object; nullopt: there is none. Holds as long as the table.
  std::optional<std::string_view> Find(std::string_view key) const;
  size_t rows() const { return rows_.size(); }

 private:
  struct Place {
    uint64_t at = 0;
    uint32_t bytes = 0;
    uint32_t line = 0;  // in the file
  };
  class Reader;

  LookupTable() = default;
  absl::Status Add(std::string_view key, std::string_view packed, uint32_t line);

  std::string packed_;  // all rows, one behind the other
  absl::flat_hash_map<std::string, Place> rows_;
};

// Whether a table's name says in which format it is.
bool IsTableName(std::string_view name);

}  // namespace millrace
