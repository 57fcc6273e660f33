// The State of a partition: a hash map in memory as its working set, the partition's database below it as the
// truth at commit and as the overflow beyond the memory budget.
//
// What a lane does with it:
//
//     Open -> Restored() tells where to go on
//     loop:  WarmUp(n) until it answers false            between batches, after a restart
//            Prefetch ... Find/Scan/Ordered ...           while a frame is applied
//            Trim()                                       after each frame; invalidates slots
//            when due, or wants_commit(), and no commit is under way:
//                Freeze(row) -> hand the FrozenCommit to the committer, which calls Write(db())
//            when the committer reports: OnCommitted(), or OnCommitFailed(status) and close the partition
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/pipeline/state.h"
#include "common/state/commit_row.h"
#include "common/state/partition_db.h"
#include "common/state/row_key.h"
#include "worker/state/frozen_commit.h"
#include "worker/state/ordered_items.h"
#include "worker/state/state_table.h"

namespace millrace {

// Not thread-safe: the partition's lane owns it. Only db() may be used by the committer meanwhile.
//
// Invariants: a key in memory hides the database's row of it; an entry that is dirty, or whose commit is not
// written yet, is never evicted; while complete(), every key of the database is in memory.
class StateStore : public State {
 public:
  struct Options {
    size_t memory_budget_bytes = 256 << 20;
  };

  // Reads the commit row and the ordered sets. DATA_LOSS when either is corrupt, RESOURCE_EXHAUSTED when an
  // ordered set is larger than it may be.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(std::unique_ptr<PartitionDb> db,
                                                          const Options& options);
  ~StateStore() override;

  // The commit that the state is at; nothing for a new partition.
  const std::optional<CommitRow>& Restored() const { return restored_; }

  absl::StatusOr<StateSlot*> Find(TableId table, std::string_view key) override;
  void Prefetch(TableId table, absl::Span<const std::string_view> keys) override;
  OrderedSet& Ordered(TableId table) override;
  absl::Status Scan(TableId table, const ScanRange& range,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) override;
  void BeginRecord() override;
  void EndRecord() override;
  void RollbackRecord() override;
  void BeginMessage() override;
  void EndMessage() override;
  void RollbackMessage() override;

  // Takes all changes since the last Freeze, and starts collecting anew. Progress and the counters of `row`
  // are filled in here. Invalidates slots. REQUIRES: no commit under way, no record or message begun.
  std::unique_ptr<FrozenCommit> Freeze(CommitRow row);
  void OnCommitted();
  // Nothing of the commit is in the database, and this State is ahead of it for good: every call from here on
  // that can fail does, with this status.
  void OnCommitFailed(absl::Status status);
  bool commit_under_way() const { return written_commits_ != frozen_commits_; }

  // Loads up to `max_rows` rows that are not in memory. False when there is nothing left to do: all of them
  // are, or the budget is reached. Invalidates slots.
  absl::StatusOr<bool> WarmUp(size_t max_rows);

  void SetBudget(size_t bytes) { budget_bytes_ = bytes; }
  // Evicts clean keys while over the budget; a bounded amount of work a call. Invalidates slots.
  // REQUIRES: no record or message begun.
  void Trim();
  // Whether keys may be loaded that nothing needs yet: the budget and an eighth of it are not reached. (A state that is larger
  // than its budget always takes all of it.)
  bool HasRoomAhead() const { return memory_bytes() <= budget_bytes_ + budget_bytes_ / 8; }
  // Over the budget, and too much of it is dirty for Trim to help.
  bool wants_commit() const;

  // Whether the database has keys that memory has not.
  bool complete() const { return complete_; }
  size_t memory_bytes() const;
  size_t dirty_rows() const;
  uint64_t state_keys() const { return state_keys_; }
  uint64_t state_bytes() const { return state_bytes_; }
  PartitionDb& db() { return *db_; }

 private:
  class Slot : public StateSlot {
   public:
    explicit Slot(StateStore& store) : store_(store) {}
    bool exists() const override { return entry_->exists; }
    std::string_view value() const override { return entry_->value(); }
    char* Mutable(size_t size) override { return store_.Mutable(entry_, size); }
    void Erase() override { store_.Erase(entry_); }

   private:
    friend class StateStore;
    StateStore& store_;
    StateEntry* entry_ = nullptr;
  };

  // A value as it was before the record, or the message.
  struct Undo {
    StateEntry* entry;
    bool existed;
    std::string value;
  };

  StateStore(std::unique_ptr<PartitionDb> db, const Options& options)
      : db_(std::move(db)), budget_bytes_(options.memory_budget_bytes), slot_(*this) {}
  absl::Status Restore();

  StateTable& Table(TableId table);
  StateEntry* AddEntry(TableId table, std::string_view key, uint64_t hash,
                       std::optional<std::string_view> stored);
  absl::Status LoadCold(TableId table, std::string_view key);
  std::vector<const StateEntry*> EntriesOf(TableId table, const ScanRange& range);

  char* Mutable(StateEntry*& entry, size_t size);
  void Erase(StateEntry* entry);
  void SetValue(StateEntry*& entry, std::string_view value);
  void Remember(StateEntry* entry);
  void PutBack(Undo& undo);
  void MarkDirty(StateEntry* entry);
  StateEntry* Grow(StateEntry* entry, size_t size);
  void Count(const StateEntry& entry, int sign);

  bool MayEvict(const StateEntry& entry) const;
  void Evict(StateEntry* entry);

  const std::unique_ptr<PartitionDb> db_;
  std::optional<CommitRow> restored_;
  absl::Status failed_;

  std::array<std::unique_ptr<StateTable>, kMaxTables> tables_;
  std::array<std::unique_ptr<OrderedItems>, kMaxTables> ordered_;
  size_t tables_used_ = 0;  // both are empty from there on
  std::array<uint32_t, kMaxTables> typical_value_size_{};
  uint64_t state_keys_ = 0;
  uint64_t state_bytes_ = 0;

  std::vector<StateEntry*> dirty_;
  uint32_t frozen_commits_ = 0;
  uint32_t written_commits_ = 0;
  size_t frozen_bytes_ = 0;

  bool recording_ = false;
  std::vector<Undo> journal_;
  Progress progress_before_;
  bool in_message_ = false;
  std::vector<Undo> message_journal_;
  Progress progress_before_message_;

  size_t budget_bytes_;
  size_t entry_bytes_ = 0;
  std::vector<StateEntry*> clock_;  // every entry in memory, in no order
  size_t hand_ = 0;
  bool trim_was_in_vain_ = false;

  bool complete_ = true;
  std::unique_ptr<PartitionDb::Cursor> warm_up_;
  std::vector<uint64_t> hinted_;           // scratch of Prefetch
  absl::flat_hash_set<std::string> cold_;  // row keys hinted at that are not in memory

  Slot slot_;
};

}  // namespace millrace
