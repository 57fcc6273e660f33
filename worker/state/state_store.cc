#include "worker/state/state_store.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "common/failpoint.h"
#include "common/strings.h"

namespace millrace {
namespace {

// Row keys that wait to be looked up together.
constexpr size_t kMaxColdKeys = 128;
// How far ahead entries are fetched from memory while they are walked.
constexpr size_t kWalkAhead = 8;

}  // namespace

StateStore::~StateStore() = default;

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(std::unique_ptr<PartitionDb> db,
                                                             const Options& options) {
  std::unique_ptr<StateStore> store(new StateStore(std::move(db), options));
  if (absl::Status status = store->Restore(); !status.ok()) return status;
  return store;
}

absl::Status StateStore::Restore() {
  absl::StatusOr<std::optional<std::string>> bytes = db_->Get(kCommitRowKey);
  if (!bytes.ok()) return bytes.status();
  if (!bytes->has_value()) {
    // Whatever is there without a commit row was not written by a commit.
    if (db_->Seek("")->Valid()) {
      return absl::DataLossError(
          StrCat("the state in ", db_->dir(), " has rows but no commit row; remove the folder"));
    }
    return absl::OkStatus();
  }
  absl::StatusOr<CommitRow> row = DecodeCommitRow(**bytes);
  if (!row.ok()) {
    return absl::DataLossError(StrCat("cannot read the state in ", db_->dir(), ": ", row.status().message()));
  }
  progress_ = row->progress;
  state_keys_ = row->state_keys;
  state_bytes_ = row->state_bytes;
  restored_ = *std::move(row);

  // The ordered sets are the last rows of the database.
  const std::unique_ptr<PartitionDb::Cursor> ordered = db_->Seek(RowKey(kOrderedSpace, ""));
  for (; ordered->Valid(); ordered->Next()) {
    const TableId table = TableOf(static_cast<uint8_t>(ordered->key()[0]));
    Ordered(table);
    if (absl::Status status = ordered_[table]->Load(ordered->key().substr(1)); !status.ok()) return status;
  }
  if (absl::Status status = ordered->status(); !status.ok()) return status;
  warm_up_ = db_->Seek(RowKey(kTableSpace, ""));
  complete_ = false;
  return WarmUp(0).status();
}

StateTable& StateStore::Table(TableId table) {
  assert(table < kMaxTables);
  std::unique_ptr<StateTable>& place = tables_[table];
  if (place == nullptr) place = std::make_unique<StateTable>();
  return *place;
}

OrderedSet& StateStore::Ordered(TableId table) {
  assert(table < kMaxTables);
  std::unique_ptr<OrderedItems>& place = ordered_[table];
  if (place == nullptr) {
    place = std::make_unique<OrderedItems>();
    if (recording_) place->BeginRecord();
  }
  return *place;
}

absl::StatusOr<StateSlot*> StateStore::Find(TableId table, std::string_view key) {
  if (!failed_.ok()) return failed_;
  const uint64_t hash = StateTable::Hash(key);
  StateTable& keys = Table(table);
  StateEntry* entry = keys.Find(key, hash);
  if (entry == nullptr) {
    if (!complete_) {
      if (absl::Status status = LoadCold(table, key); !status.ok()) return status;
      entry = keys.Find(key, hash);
    }
    if (entry == nullptr) entry = AddEntry(table, key, hash, std::nullopt);
  }
  if (!entry->referenced) entry->referenced = true;
  slot_.entry_ = entry;
  return &slot_;
}

void StateStore::Prefetch(TableId table, std::string_view key) {
  const uint64_t hash = StateTable::Hash(key);
  StateTable& keys = Table(table);
  keys.Prefetch(hash);
  if (complete_ || cold_.size() >= kMaxColdKeys || keys.Find(key, hash) != nullptr) return;
  cold_.insert(RowKey(TableSpace(table), key));
}

// Looks the key up, together with the others that were hinted at: one walk through the filters for all.
absl::Status StateStore::LoadCold(TableId table, std::string_view key) {
  cold_.insert(RowKey(TableSpace(table), key));
  const std::vector<std::string> row_keys(cold_.begin(), cold_.end());
  cold_.clear();
  absl::StatusOr<std::vector<std::optional<std::string>>> values = db_->MultiGet(row_keys);
  if (!values.ok()) return values.status();
  for (size_t i = 0; i < row_keys.size(); ++i) {
    const std::string_view cold_key = std::string_view(row_keys[i]).substr(1);
    const TableId cold_table = TableOf(static_cast<uint8_t>(row_keys[i][0]));
    const uint64_t hash = StateTable::Hash(cold_key);
    if (Table(cold_table).Find(cold_key, hash) == nullptr) AddEntry(cold_table, cold_key, hash, (*values)[i]);
  }
  return absl::OkStatus();
}

// A key that comes into memory: with the database's value, or as one that does not exist.
StateEntry* StateStore::AddEntry(TableId table, std::string_view key, uint64_t hash,
                                 std::optional<std::string_view> stored) {
  constexpr size_t kLeastCapacity = 8;
  const size_t capacity = stored.has_value() ? stored->size() : typical_value_size_[table];
  StateEntry* entry = StateEntry::New(table, key, std::max(capacity, kLeastCapacity));
  if (stored.has_value()) {
    std::copy(stored->begin(), stored->end(), entry->value_data());
    entry->value_size = static_cast<uint32_t>(stored->size());
    entry->exists = entry->stored = true;
  }
  entry->clock_index = static_cast<uint32_t>(clock_.size());
  clock_.push_back(entry);
  entry_bytes_ += entry->memory_bytes();
  Table(table).Insert(entry, hash);
  return entry;
}

char* StateStore::Mutable(StateEntry*& entry, size_t size) {
  Remember(entry);
  MarkDirty(entry);
  if (entry->exists) {
    Count(*entry, -1);
  } else {
    entry->value_size = 0;
    entry->exists = true;
  }
  if (size > entry->value_capacity) entry = Grow(entry, size);
  if (size > entry->value_size)
    std::memset(entry->value_data() + entry->value_size, 0, size - entry->value_size);
  entry->value_size = static_cast<uint32_t>(size);
  typical_value_size_[entry->table] = entry->value_size;
  Count(*entry, +1);
  return entry->value_data();
}

void StateStore::Erase(StateEntry* entry) {
  if (!entry->exists) return;
  Remember(entry);
  MarkDirty(entry);
  Count(*entry, -1);
  entry->exists = false;
}

void StateStore::Count(const StateEntry& entry, int sign) {
  state_keys_ += sign;
  state_bytes_ += sign * (uint64_t{entry.key_size} + entry.value_size);
}

void StateStore::MarkDirty(StateEntry* entry) {
  if (entry->dirty()) return;
  entry->dirty_index = static_cast<uint32_t>(dirty_.size());
  dirty_.push_back(entry);
}

StateEntry* StateStore::Grow(StateEntry* entry, size_t size) {
  constexpr size_t kLargeValue = 4096;  // from here on half again is room enough
  const size_t before = entry->memory_bytes();
  StateEntry* const old = entry;
  const uint64_t hash = StateTable::Hash(entry->key());
  entry = StateEntry::Grow(entry, size < kLargeValue ? size + size / 4 : size + size / 2);
  Table(entry->table).Replace(old, entry, hash);
  clock_[entry->clock_index] = entry;
  if (entry->dirty()) dirty_[entry->dirty_index] = entry;
  if (entry->journaled) {
    for (Undo& undo : journal_) {
      if (undo.entry == old) undo.entry = entry;
    }
  }
  entry_bytes_ += entry->memory_bytes() - before;
  return entry;
}

void StateStore::BeginRecord() {
  assert(!recording_);
  recording_ = true;
  progress_before_ = progress_;
  for (const auto& items : ordered_) {
    if (items != nullptr) items->BeginRecord();
  }
}

void StateStore::Remember(StateEntry* entry) {
  if (!recording_ || entry->journaled) return;
  entry->journaled = true;
  journal_.push_back({entry, entry->exists, std::string(entry->value())});
}

void StateStore::EndRecord() {
  recording_ = false;
  for (const Undo& undo : journal_) undo.entry->journaled = false;
  journal_.clear();
  for (const auto& items : ordered_) {
    if (items != nullptr) items->EndRecord();
  }
}

// What was rolled back stays dirty: writing a row once more as it was does no harm.
void StateStore::RollbackRecord() {
  recording_ = false;
  progress_ = progress_before_;
  for (Undo& undo : journal_) {
    undo.entry->journaled = false;
    if (undo.existed) {
      char* const value = Mutable(undo.entry, undo.value.size());
      std::copy(undo.value.begin(), undo.value.end(), value);
    } else {
      Erase(undo.entry);
    }
  }
  journal_.clear();
  for (const auto& items : ordered_) {
    if (items != nullptr) items->RollbackRecord();
  }
}

std::unique_ptr<FrozenCommit> StateStore::Freeze(CommitRow row) {
  assert(!commit_under_way() && !recording_);
  row.progress = progress_;
  row.state_keys = state_keys_;
  row.state_bytes = state_bytes_;
  auto frozen = std::make_unique<FrozenCommit>(EncodeCommitRow(row));
  frozen->Reserve(dirty_rows());
  ++frozen_commits_;
  for (size_t i = 0; i < dirty_.size(); ++i) {
    if (i + kWalkAhead < dirty_.size()) __builtin_prefetch(dirty_[i + kWalkAhead]);
    StateEntry& entry = *dirty_[i];
    entry.dirty_index = StateEntry::kNoIndex;
    entry.frozen_in = frozen_commits_;
    if (entry.exists) {
      frozen->Put(TableSpace(entry.table), entry.key(), entry.value());
    } else if (entry.stored) {
      frozen->Erase(TableSpace(entry.table), entry.key());
    }
    entry.stored = entry.exists;
  }
  dirty_ = {};  // the next set may be much smaller
  for (size_t table = 0; table < kMaxTables; ++table) {
    if (ordered_[table] == nullptr) continue;
    const uint8_t space = OrderedSpace(static_cast<TableId>(table));
    ordered_[table]->Freeze([&](std::string_view item, bool inserted) {
      inserted ? frozen->Put(space, item, {}) : frozen->Erase(space, item);
    });
  }
  frozen_bytes_ = frozen->memory_bytes();
  return frozen;
}

void StateStore::OnCommitted() {
  assert(commit_under_way());
  written_commits_ = frozen_commits_;
  frozen_bytes_ = 0;
  trim_was_in_vain_ = false;
  if (MILLRACE_DEFECT("dirty_set_lost_at_swap")) {
    for (StateEntry* entry : dirty_) entry->dirty_index = StateEntry::kNoIndex;
    dirty_.clear();
  }
}

void StateStore::OnCommitFailed(absl::Status status) { failed_ = std::move(status); }

size_t StateStore::dirty_rows() const {
  size_t rows = dirty_.size();
  for (const auto& items : ordered_) {
    if (items != nullptr) rows += items->changes();
  }
  return rows;
}

size_t StateStore::memory_bytes() const {
  size_t bytes = entry_bytes_ + frozen_bytes_ + (clock_.capacity() + dirty_.capacity()) * sizeof(StateEntry*);
  for (const auto& table : tables_) {
    if (table != nullptr) bytes += table->memory_bytes();
  }
  for (const auto& items : ordered_) {
    if (items != nullptr) bytes += items->memory_bytes();
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
  assert(!recording_);
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

absl::Status StateStore::Scan(TableId table, std::string_view prefix,
                              const std::function<bool(std::string_view, std::string_view)>& visit) {
  if (!failed_.ok()) return failed_;
  std::vector<const StateEntry*> entries;
  Table(table).ForEach([&](const StateEntry* entry) {
    if (entry->key().starts_with(prefix)) entries.push_back(entry);
  });
  std::sort(entries.begin(), entries.end(),
            [](const StateEntry* a, const StateEntry* b) { return a->key() < b->key(); });
  auto next = entries.begin();
  bool proceed = true;
  // Memory's keys below `key` (all, when it is null); it hides the database's row of the same key.
  const auto visit_memory_below = [&](const std::string_view* key) {
    for (; proceed && next != entries.end() && (key == nullptr || (*next)->key() < *key); ++next) {
      if ((*next)->exists) proceed = visit((*next)->key(), (*next)->value());
    }
  };
  if (!complete_) {
    const absl::Status status =
        db_->Scan(RowKey(TableSpace(table), prefix), [&](std::string_view row_key, std::string_view value) {
          const std::string_view key = row_key.substr(1);
          visit_memory_below(&key);
          const bool hidden = next != entries.end() && (*next)->key() == key;
          if (proceed && !hidden) proceed = visit(key, value);
          return proceed;
        });
    if (!status.ok()) return status;
  }
  visit_memory_below(nullptr);
  return absl::OkStatus();
}

}  // namespace millrace
