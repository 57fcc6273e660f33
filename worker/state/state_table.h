// The keys of one table that are in memory.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "worker/state/state_entry.h"

namespace millrace {

// A hash table with linear probing, written by hand for one reason: with many keys a lookup is its cache
// misses, and this one has two that can both be asked for ahead, the slot and the entry. With
// absl::flat_hash_set, which has its control bytes as a third, a record of 500,000 keys took 245 ns; with
// this and whole batches hinted at it takes 135, of 625 keys 115 (step_benchmark). Owns its entries. Not
// thread-safe.
class StateTable {
 public:
  StateTable() = default;
  ~StateTable();
  StateTable(const StateTable&) = delete;
  StateTable& operator=(const StateTable&) = delete;

  static uint64_t Hash(std::string_view key) {
    return absl::HashOf(absl::string_view(key.data(), key.size()));
  }

  // Null when it is not in memory.
  StateEntry* Find(std::string_view key, uint64_t hash) const {
    if (slots_.empty()) return nullptr;
    for (size_t i = hash & mask(); slots_[i].entry != nullptr; i = (i + 1) & mask()) {
      if (slots_[i].hash == hash && slots_[i].entry->key() == key) return slots_[i].entry;
    }
    return nullptr;
  }
  void Insert(StateEntry* entry, uint64_t hash);  // REQUIRES: its key is not in memory
  void Replace(StateEntry* from, StateEntry* to, uint64_t hash);
  void Remove(StateEntry* entry, uint64_t hash);  // gives the ownership back

  // The two misses, to be asked for one after the other: of many keys the slots, then of all of them the
  // entries. A hash that comes twice in a table gets the first entry fetched. Inlined always: gcc 12 takes a
  // function that only prefetches for one without an effect, and leaves out the calls.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void PrefetchSlot(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask()]);
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE void PrefetchEntry(uint64_t hash) const {
    if (slots_.empty()) return;
    size_t i = hash & mask();
    while (slots_[i].entry != nullptr && slots_[i].hash != hash) i = (i + 1) & mask();
    if (slots_[i].entry != nullptr) slots_[i].entry->Prefetch();
  }

  size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }
  size_t size() const { return size_; }
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.entry != nullptr) visit(slot.entry);
    }
  }

 private:
  // The hash stands beside the pointer: growing the table, and passing other keys, touch no entry.
  struct Slot {
    uint64_t hash = 0;
    StateEntry* entry = nullptr;  // null: free
  };

  size_t mask() const { return slots_.size() - 1; }
  size_t SlotOf(const StateEntry* entry, uint64_t hash) const;
  void Resize(size_t slots);

  std::vector<Slot> slots_;  // a power of two of them, at most kMaxLoad full; or none
  size_t size_ = 0;
};

}  // namespace millrace
