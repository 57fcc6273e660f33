#include "worker/state/frozen_commit.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace millrace {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

// Below this many rows counting digits costs more than comparing keys.
constexpr size_t kRadixRows = 64;

size_t CommonPrefix(absl::Span<const DbRow> rows) {
  const std::string_view first = rows.front().key();
  size_t common = first.size();
  for (const DbRow& row : rows) {
    const std::string_view key = row.key().substr(0, common);
    common = static_cast<size_t>(std::mismatch(key.begin(), key.end(), first.begin()).first - key.begin());
  }
  return common;
}

// The 8 bytes from `skip` on, as a number that compares as they do; shorter keys are filled up with zeros.
uint64_t OrderOf(std::string_view key, size_t skip) {
  uint64_t order = 0;
  std::memcpy(&order, key.data() + skip, std::min<size_t>(8, key.size() - skip));
  return __builtin_bswap64(order);
}

// LSD radix sort by `order`, through `scratch` of the same size.
void SortByOrder(absl::Span<DbRow> rows, absl::Span<DbRow> scratch) {
  constexpr int kDigits = 8;
  std::array<std::array<uint32_t, 256>, kDigits> counts{};
  for (const DbRow& row : rows) {
    for (int digit = 0; digit < kDigits; ++digit) ++counts[digit][(row.order >> (8 * digit)) & 0xFF];
  }
  absl::Span<DbRow> from = rows, to = scratch;
  for (int digit = 0; digit < kDigits; ++digit) {
    std::array<uint32_t, 256>& count = counts[digit];
    if (count[(rows.front().order >> (8 * digit)) & 0xFF] == rows.size()) continue;
    uint32_t start = 0;
    for (uint32_t& c : count) start += std::exchange(c, start);
    for (const DbRow& row : from) to[count[(row.order >> (8 * digit)) & 0xFF]++] = row;
    std::swap(from, to);
  }
  if (from.data() != rows.data()) std::copy(from.begin(), from.end(), rows.begin());
}

void SortByKey(absl::Span<DbRow> rows) {
  std::sort(rows.begin(), rows.end(), [](const DbRow& a, const DbRow& b) { return a.key() < b.key(); });
}

void SortRange(absl::Span<DbRow> rows, absl::Span<DbRow> scratch) {
  if (rows.size() < kRadixRows) return SortByKey(rows);
  const size_t skip = CommonPrefix(rows);
  for (DbRow& row : rows) row.order = OrderOf(row.key(), skip);
  SortByOrder(rows, scratch);
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin + 1;
    while (end < rows.size() && rows[end].order == rows[begin].order) ++end;
    const absl::Span<DbRow> alike = rows.subspan(begin, end - begin);
    // Zeros at the end of a key count for nothing in `order`: then nothing was told apart, and only comparing
    // helps.
    if (alike.size() == rows.size()) return SortByKey(rows);
    if (alike.size() > 1) SortRange(alike, scratch.subspan(0, alike.size()));
    begin = end;
  }
}

}  // namespace

void SortRows(std::vector<DbRow>& rows) {
  std::vector<DbRow> scratch(rows.size());
  SortRange(absl::MakeSpan(rows), absl::MakeSpan(scratch));
}

void FrozenCommit::Put(uint8_t space, std::string_view key, std::string_view value) {
  const size_t key_size = 1 + key.size();
  char* bytes = Allocate(key_size + value.size());
  bytes[0] = static_cast<char>(space);
  std::copy(key.begin(), key.end(), bytes + 1);
  std::copy(value.begin(), value.end(), bytes + key_size);
  rows_.push_back({0, bytes, static_cast<uint32_t>(key_size), static_cast<uint32_t>(value.size())});
}

void FrozenCommit::Erase(uint8_t space, std::string_view key) {
  Put(space, key, {});
  rows_.back().value_size = DbRow::kErased;
}

absl::Status FrozenCommit::Write(PartitionDb& db) {
  SortRows(rows_);
  return db.CommitRows(rows_, commit_row_);
}

char* FrozenCommit::Allocate(size_t bytes) {
  if (bytes > left_) {
    left_ = std::max(bytes, kChunkBytes);
    // Not zeroed: every byte is written before it is read.
    chunks_.emplace_back(new char[left_]);
    next_ = chunks_.back().get();
    chunk_bytes_ += left_;
  }
  char* const taken = next_;
  next_ += bytes;
  left_ -= bytes;
  bytes_ += bytes;
  return taken;
}

}  // namespace millrace
