// Commits of a StateStore: taking the dirty set, and what becomes of it.
#include <utility>

#include "common/check.h"
#include "common/failpoint.h"
#include "worker/state/state_store.h"

namespace millrace {
namespace {

// How far ahead entries are fetched from memory while they are walked.
constexpr size_t kGatherAhead = 8;

}  // namespace

std::unique_ptr<FrozenCommit> StateStore::Freeze(CommitRow row) {
  MILLRACE_CHECK(!commit_under_way() && !recording_ && !in_message_);
  row.progress = progress_;
  row.state_keys = state_keys_;
  row.state_bytes = state_bytes_;
  auto frozen = std::make_unique<FrozenCommit>(EncodeCommitRow(row));
  frozen->Reserve(dirty_rows());
  ++frozen_commits_;
  for (size_t i = 0; i < dirty_.size(); ++i) {
    if (i + kGatherAhead < dirty_.size()) __builtin_prefetch(dirty_[i + kGatherAhead]);
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
  MILLRACE_CHECK(commit_under_way());
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

}  // namespace millrace
