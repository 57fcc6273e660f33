// Which keys of a StateStore are in memory: loading them after a restart, evicting them beyond the budget.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "worker/state/state_store.h"

namespace millrace {
namespace {

// How far ahead entries are fetched from memory while they are walked.
constexpr size_t kWalkAhead = 8;

}  // namespace

size_t StateStore::memory_bytes() const {
  size_t bytes = entry_bytes_ + frozen_bytes_ + (clock_.capacity() + dirty_.capacity()) * sizeof(StateEntry*);
  // Asked twice for every message: of one record, often.
  for (size_t i = 0; i < tables_used_; ++i) {
    if (tables_[i] != nullptr) bytes += tables_[i]->memory_bytes();
    if (ordered_[i] != nullptr) bytes += ordered_[i]->memory_bytes();
  }
  return bytes;
}

absl::StatusOr<bool> StateStore::WarmUp(size_t max_rows) {
  if (warm_up_ == nullptr) return false;
  constexpr size_t kRowsBetweenBudgetChecks = 256;
  for (size_t rows = 0; warm_up_->Valid() && IsTableSpace(static_cast<uint8_t>(warm_up_->key()[0]));
       ++rows, warm_up_->Next()) {
    if (rows >= max_rows) return true;
    if (rows % kRowsBetweenBudgetChecks == 0 && memory_bytes() >= budget_bytes_) {
      warm_up_.reset();
      return false;
    }
    const std::string_view key = warm_up_->key().substr(1);
    const TableId table = TableOf(static_cast<uint8_t>(warm_up_->key()[0]));
    const uint64_t hash = StateTable::Hash(key);
    // What is in memory is newer than the cursor.
    if (Table(table).Find(key, hash) == nullptr) AddEntry(table, key, hash, warm_up_->value());
  }
  absl::Status status;
  if (!warm_up_->Valid()) status = warm_up_->status();
  warm_up_.reset();
  if (!status.ok()) return status;
  complete_ = true;
  cold_.clear();
  return false;
}

bool StateStore::MayEvict(const StateEntry& entry) const {
  const bool written = entry.frozen_in <= written_commits_;
  return !entry.dirty() && written;
}

// The CLOCK algorithm: a key found since the hand's last visit is spared once.
void StateStore::Trim() {
  MILLRACE_CHECK(!recording_ && !in_message_);
  constexpr size_t kMaxSteps = 2048;
  size_t over = memory_bytes();
  if (over <= budget_bytes_) return;
  over -= budget_bytes_;
  const size_t entry_bytes_wanted = entry_bytes_ - std::min(over, entry_bytes_);
  // A cursor older than an eviction would bring old values back.
  warm_up_.reset();
  size_t evicted = 0;
  const size_t steps = std::min(kMaxSteps, 2 * clock_.size());
  for (size_t step = 0; step < steps && entry_bytes_ > entry_bytes_wanted && !clock_.empty(); ++step) {
    if (hand_ >= clock_.size()) hand_ = 0;
    StateEntry* const entry = clock_[hand_];
    if (hand_ + kWalkAhead < clock_.size()) __builtin_prefetch(clock_[hand_ + kWalkAhead]);
    if (entry->referenced || !MayEvict(*entry)) {
      entry->referenced = false;
      ++hand_;
    } else {
      Evict(entry);  // the last of the clock takes its place under the hand
      ++evicted;
    }
  }
  trim_was_in_vain_ = evicted == 0 && steps > 0;
}

void StateStore::Evict(StateEntry* entry) {
  if (entry->exists) complete_ = false;
  entry_bytes_ -= entry->memory_bytes();
  StateEntry* const last = clock_.back();
  clock_[entry->clock_index] = last;
  last->clock_index = entry->clock_index;
  clock_.pop_back();
  if (clock_.size() < clock_.capacity() / 4) clock_.shrink_to_fit();
  Table(entry->table).Remove(entry, StateTable::Hash(entry->key()));
  StateEntry::Free(entry);
}

bool StateStore::wants_commit() const {
  if (dirty_.empty() || memory_bytes() <= budget_bytes_) return false;
  return trim_was_in_vain_ || dirty_.size() > clock_.size() / 2;
}

}  // namespace millrace
