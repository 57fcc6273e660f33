#include "worker/state/state_entry.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace millrace {
namespace {

// glibc hands out chunks of 16 bytes, 8 of which are its own.
constexpr size_t kChunk = 16;
constexpr size_t kChunkOverhead = 8;

}  // namespace

size_t StateEntry::AllocatedBytes(size_t key_size, size_t value_capacity) {
  const size_t wanted = sizeof(StateEntry) + ValueAt(key_size) + value_capacity + kChunkOverhead;
  return (wanted + kChunk - 1) / kChunk * kChunk;
}

StateEntry* StateEntry::New(TableId table, std::string_view key, size_t value_capacity) {
  const size_t usable = AllocatedBytes(key.size(), value_capacity) - kChunkOverhead;
  void* memory = std::malloc(usable);
  if (memory == nullptr) throw std::bad_alloc();
  auto* entry = new (memory) StateEntry{};
  entry->key_size = static_cast<uint32_t>(key.size());
  entry->value_capacity = static_cast<uint32_t>(usable - sizeof(StateEntry) - ValueAt(key.size()));
  entry->dirty_index = kNoIndex;
  entry->clock_index = kNoIndex;
  entry->table = table;
  if (!key.empty()) std::memcpy(entry->bytes(), key.data(), key.size());
  return entry;
}

StateEntry* StateEntry::Grow(StateEntry* entry, size_t value_capacity) {
  StateEntry* grown = New(entry->table, entry->key(), value_capacity);
  const uint32_t capacity = grown->value_capacity;
  *grown = *entry;
  grown->value_capacity = capacity;
  std::memcpy(grown->value_data(), entry->value_data(), entry->value_size);
  Free(entry);
  return grown;
}

void StateEntry::Free(StateEntry* entry) { std::free(entry); }

}  // namespace millrace
