#include "worker/state/state_table.h"

namespace millrace {

StateTable::~StateTable() {
  for (const Ref& ref : refs_) StateEntry::Free(ref.entry);
}

StateEntry* StateTable::Find(std::string_view key, uint64_t hash) const {
  const auto found = refs_.find(Probe{key, hash});
  return found == refs_.end() ? nullptr : found->entry;
}

void StateTable::Insert(StateEntry* entry, uint64_t hash) { refs_.insert(Ref{hash, entry}); }

void StateTable::Replace(StateEntry* from, StateEntry* to, uint64_t hash) {
  // Same hash, same key: the slot stays where it is.
  const_cast<Ref&>(*refs_.find(Ref{hash, from})).entry = to;
}

void StateTable::Remove(StateEntry* entry, uint64_t hash) {
  refs_.erase(Ref{hash, entry});
  constexpr size_t kWorthShrinking = 1024;
  if (refs_.capacity() >= kWorthShrinking && refs_.size() < refs_.capacity() / 4) refs_.rehash(0);
}

void StateTable::Prefetch(uint64_t hash) {
  refs_.prefetch(HintedProbe{hash});
  const uint64_t before = hinted_[next_hinted_];
  hinted_[next_hinted_] = hash;
  next_hinted_ = (next_hinted_ + 1) % kPrefetchLag;
  if (const auto found = refs_.find(HintedProbe{before}); found != refs_.end()) {
    __builtin_prefetch(found->entry);
  }
}

}  // namespace millrace
