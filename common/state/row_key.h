// How a partition's database is keyed. One byte says what a row is, so that the commit row comes first in
// every sorted commit, and a table or an ordered set is one range.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/pipeline/state.h"

namespace millrace {

inline constexpr size_t kMaxTables = 64;
inline constexpr std::string_view kCommitRowKey("\0", 1);
inline constexpr uint8_t kTableSpace = 0x40;    // 0x40 | table, then the key
inline constexpr uint8_t kOrderedSpace = 0x80;  // 0x80 | table, then the item

constexpr uint8_t TableSpace(TableId table) { return kTableSpace | table; }
constexpr uint8_t OrderedSpace(TableId table) { return kOrderedSpace | table; }
constexpr bool IsTableSpace(uint8_t space) { return (space & 0xC0) == kTableSpace; }
constexpr TableId TableOf(uint8_t space) { return space & 0x3F; }

inline std::string RowKey(uint8_t space, std::string_view key) {
  std::string row;
  row.reserve(1 + key.size());
  row.push_back(static_cast<char>(space));
  row.append(key);
  return row;
}

}  // namespace millrace
