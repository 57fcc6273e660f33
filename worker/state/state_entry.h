// One key's value in memory: header, key and value in one allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/base/attributes.h"
#include "common/pipeline/state.h"

namespace millrace {

// Not thread-safe; owned by its StateTable. Growing moves it: whoever keeps pointers is told
// (StateStore::Grow).
struct StateEntry {
  static constexpr uint32_t kNoIndex = UINT32_MAX;

  uint32_t key_size;
  uint32_t value_size;
  uint32_t value_capacity;
  uint32_t dirty_index;  // its place among the dirty, or kNoIndex
  uint32_t clock_index;  // its place on the eviction clock
  uint32_t frozen_in;    // number of the last commit that took it; not to be evicted before that is written
  TableId table;
  bool exists;
  bool stored;      // the database, or a frozen commit, may have a row of it
  bool referenced;  // found since the clock's hand last passed
  bool journaled;   // the record that runs has its old value
  bool in_message;  // the message that runs has its old value

  bool dirty() const { return dirty_index != kNoIndex; }
  std::string_view key() const { return {bytes(), key_size}; }
  std::string_view value() const { return {bytes() + value_at(), exists ? value_size : 0}; }
  char* value_data() { return bytes() + value_at(); }
  // What the allocator takes for it.
  size_t memory_bytes() const { return AllocatedBytes(key_size, value_capacity); }

  // Most are smaller than a cache line and lie across two. Inlined always: see StateTable.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Prefetch() const {
    constexpr size_t kLineBytes = 64;
    __builtin_prefetch(this, /*rw=*/1);
    __builtin_prefetch(reinterpret_cast<const char*>(this) + kLineBytes, /*rw=*/1);
  }

  // An entry that does not exist yet. Spare room up to what the allocator hands out anyway becomes capacity.
  static StateEntry* New(TableId table, std::string_view key, size_t value_capacity);
  // The same with at least `value_capacity`, in place of `entry`, which is freed.
  static StateEntry* Grow(StateEntry* entry, size_t value_capacity);
  static void Free(StateEntry* entry);

 private:
  static size_t ValueAt(size_t key_size) { return (key_size + 7) & ~size_t{7}; }
  static size_t AllocatedBytes(size_t key_size, size_t value_capacity);

  size_t value_at() const { return ValueAt(key_size); }
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};
static_assert(sizeof(StateEntry) == 32, "values behind it are aligned to 8 bytes");

}  // namespace millrace
