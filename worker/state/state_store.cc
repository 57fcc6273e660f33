#include "worker/state/state_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/check.h"
#include "common/strings.h"

namespace millrace {
namespace {

// Row keys that wait to be looked up together.
constexpr size_t kMaxColdKeys = 128;

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
  MILLRACE_CHECK(table < kMaxTables);
  std::unique_ptr<StateTable>& place = tables_[table];
  if (place == nullptr) {
    place = std::make_unique<StateTable>();
    tables_used_ = std::max<size_t>(tables_used_, table + 1);
  }
  return *place;
}

OrderedSet& StateStore::Ordered(TableId table) {
  MILLRACE_CHECK(table < kMaxTables);
  std::unique_ptr<OrderedItems>& place = ordered_[table];
  if (place == nullptr) {
    place = std::make_unique<OrderedItems>();
    tables_used_ = std::max<size_t>(tables_used_, table + 1);
    if (in_message_) place->BeginMessage();
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

// Slots of all, then entries of all: each walk's cache misses overlap, and the second finds what the first
// asked for.
void StateStore::Prefetch(TableId table, absl::Span<const std::string_view> keys) {
  StateTable& entries = Table(table);
  hinted_.clear();
  for (const std::string_view key : keys) {
    hinted_.push_back(StateTable::Hash(key));
    entries.PrefetchSlot(hinted_.back());
  }
  for (const uint64_t hash : hinted_) entries.PrefetchEntry(hash);
  for (size_t i = 0; !complete_ && i < keys.size() && cold_.size() < kMaxColdKeys; ++i) {
    if (entries.Find(keys[i], hinted_[i]) == nullptr) cold_.insert(RowKey(TableSpace(table), keys[i]));
  }
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
  if (entry.table < kFirstHelperTable) state_keys_ += sign;
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
  const auto follow = [&](std::vector<Undo>& journal) {
    for (Undo& undo : journal) {
      if (undo.entry == old) undo.entry = entry;
    }
  };
  if (entry->journaled) follow(journal_);
  if (entry->in_message) follow(message_journal_);
  entry_bytes_ += entry->memory_bytes() - before;
  return entry;
}

void StateStore::BeginRecord() {
  MILLRACE_CHECK(!recording_);
  recording_ = true;
  progress_before_ = progress_;
  for (const auto& items : ordered_) {
    if (items != nullptr) items->BeginRecord();
  }
}

void StateStore::Remember(StateEntry* entry) {
  if (in_message_ && !entry->in_message) {
    entry->in_message = true;
    message_journal_.push_back({entry, entry->exists, std::string(entry->value())});
  }
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
    PutBack(undo);
  }
  journal_.clear();
  for (const auto& items : ordered_) {
    if (items != nullptr) items->RollbackRecord();
  }
}

void StateStore::PutBack(Undo& undo) {
  if (undo.existed) {
    char* const value = Mutable(undo.entry, undo.value.size());
    std::copy(undo.value.begin(), undo.value.end(), value);
  } else {
    Erase(undo.entry);
  }
}

void StateStore::BeginMessage() {
  MILLRACE_CHECK(!recording_ && !in_message_);
  in_message_ = true;
  progress_before_message_ = progress_;
  for (const auto& items : ordered_) {
    if (items != nullptr) items->BeginMessage();
  }
}

void StateStore::EndMessage() {
  MILLRACE_CHECK(in_message_ && !recording_);
  in_message_ = false;
  for (const Undo& undo : message_journal_) undo.entry->in_message = false;
  message_journal_.clear();
  for (const auto& items : ordered_) {
    if (items != nullptr) items->EndMessage();
  }
}

void StateStore::RollbackMessage() {
  MILLRACE_CHECK(in_message_ && !recording_);
  in_message_ = false;
  progress_ = progress_before_message_;
  for (Undo& undo : message_journal_) {
    undo.entry->in_message = false;
    PutBack(undo);
  }
  message_journal_.clear();
  for (const auto& items : ordered_) {
    if (items != nullptr) items->RollbackMessage();
  }
}

// What memory has of the range, in order, and no more of it than a scan comes to: behind `most` keys that
// exist, nothing is visited.
std::vector<const StateEntry*> StateStore::EntriesOf(TableId table, const ScanRange& range) {
  const auto before = [](const StateEntry* a, const StateEntry* b) { return a->key() < b->key(); };
  std::vector<const StateEntry*> entries;
  Table(table).ForEach([&](const StateEntry* entry) {
    if (range.Holds(entry->key())) entries.push_back(entry);
  });
  if (range.most < entries.size()) {
    const auto erased =
        std::partition(entries.begin(), entries.end(), [](const StateEntry* entry) { return entry->exists; });
    if (range.most > 0 && static_cast<size_t>(erased - entries.begin()) > range.most) {
      const auto last = entries.begin() + static_cast<ptrdiff_t>(range.most) - 1;
      std::nth_element(entries.begin(), last, erased, before);
      const StateEntry* const horizon = *last;
      std::erase_if(entries, [&](const StateEntry* entry) { return before(horizon, entry); });
    }
  }
  std::sort(entries.begin(), entries.end(), before);
  return entries;
}

absl::Status StateStore::Scan(TableId table, const ScanRange& range,
                              const std::function<bool(std::string_view, std::string_view)>& visit) {
  if (!failed_.ok()) return failed_;
  if (range.most == 0) return absl::OkStatus();
  const std::vector<const StateEntry*> entries = EntriesOf(table, range);
  auto next = entries.begin();
  size_t visited = 0;
  bool proceed = true;
  const auto show = [&](std::string_view key, std::string_view value) {
    proceed = visit(key, value) && ++visited < range.most;
  };
  // Memory's keys below `key` (all, when it is null); it hides the database's row of the same key.
  const auto visit_memory_below = [&](const std::string_view* key) {
    for (; proceed && next != entries.end() && (key == nullptr || (*next)->key() < *key); ++next) {
      if ((*next)->exists) show((*next)->key(), (*next)->value());
    }
  };
  if (!complete_) {
    const std::string prefix = RowKey(TableSpace(table), range.prefix);
    const std::string after = RowKey(TableSpace(table), range.after.value_or(""));
    const absl::Status status =
        db_->Scan(prefix, after, [&](std::string_view row_key, std::string_view value) {
          const std::string_view key = row_key.substr(1);
          if (!range.Holds(key)) return true;  // `after` itself
          visit_memory_below(&key);
          const bool hidden = next != entries.end() && (*next)->key() == key;
          if (proceed && !hidden) show(key, value);
          return proceed;
        });
    if (!status.ok()) return status;
  }
  visit_memory_below(nullptr);
  return absl::OkStatus();
}

}  // namespace millrace
