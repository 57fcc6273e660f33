// The keys of one table that are in memory.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "worker/state/state_entry.h"

namespace millrace {

// Owns its entries. Not thread-safe.
class StateTable {
 public:
  StateTable() = default;
  ~StateTable();
  StateTable(const StateTable&) = delete;
  StateTable& operator=(const StateTable&) = delete;

  static uint64_t Hash(std::string_view key) {
    return absl::HashOf(absl::string_view(key.data(), key.size()));
  }

  StateEntry* Find(std::string_view key, uint64_t hash) const;  // null when it is not in memory
  void Insert(StateEntry* entry, uint64_t hash);                // REQUIRES: its key is not in memory
  void Replace(StateEntry* from, StateEntry* to, uint64_t hash);
  void Remove(StateEntry* entry, uint64_t hash);  // gives the ownership back

  // Two steps, each a cache miss of its own: now the slots of this hash; the entry behind them when
  // kPrefetchLag more keys were hinted at.
  void Prefetch(uint64_t hash);

  size_t memory_bytes() const { return refs_.capacity() * (sizeof(Ref) + 1); }
  size_t size() const { return refs_.size(); }
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Ref& ref : refs_) visit(ref.entry);
  }

 private:
  static constexpr size_t kPrefetchLag = 4;

  // The hash stands beside the pointer: growing the table, and passing other keys, touch no entry.
  struct Ref {
    uint64_t hash;
    StateEntry* entry;
  };
  struct Probe {
    std::string_view key;
    uint64_t hash;
  };
  struct HintedProbe {
    uint64_t hash;
  };
  struct HashOf {
    using is_transparent = void;
    template <typename T>
    size_t operator()(const T& t) const {
      return t.hash;
    }
  };
  struct SameKey {
    using is_transparent = void;
    bool operator()(const Ref& a, const Ref& b) const { return a.entry == b.entry; }
    bool operator()(const Ref& a, const Probe& b) const {
      return a.hash == b.hash && a.entry->key() == b.key;
    }
    bool operator()(const Ref& a, const HintedProbe& b) const { return a.hash == b.hash; }
  };

  absl::flat_hash_set<Ref, HashOf, SameKey> refs_;
  std::array<uint64_t, kPrefetchLag> hinted_{};
  size_t next_hinted_ = 0;
};

}  // namespace millrace
