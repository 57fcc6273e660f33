// The undo log behind State::BeginRecord and RollbackRecord, for those who implement State.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "common/pipeline/state.h"

namespace millrace {

// Remembers old values while a record runs and gives them back in reverse order. Not thread-safe.
class StateJournal {
 public:
  struct Entry {
    enum class Kind { kValue, kInserted, kErased };
    Kind kind;
    TableId table;
    std::string key;                 // the value's key, or the ordered set's item
    std::optional<std::string> old;  // kValue: what it was; nullopt: it did not exist
  };

  bool active() const { return active_; }
  void Begin(const Progress& progress) {
    MILLRACE_CHECK(!active_);
    active_ = true;
    progress_ = progress;
    entries_.clear();
  }
  void End() {
    MILLRACE_CHECK(active_);
    active_ = false;
  }

  // What is about to change. Nothing is kept when no record is open.
  void Value(TableId table, std::string_view key, std::optional<std::string_view> old) {
    if (!active_) return;
    std::optional<std::string> kept;
    if (old.has_value()) kept.emplace(*old);
    entries_.push_back({Entry::Kind::kValue, table, std::string(key), std::move(kept)});
  }
  void Inserted(TableId table, std::string_view item) {
    if (active_) entries_.push_back({Entry::Kind::kInserted, table, std::string(item), std::nullopt});
  }
  void Erased(TableId table, std::string_view item) {
    if (active_) entries_.push_back({Entry::Kind::kErased, table, std::string(item), std::nullopt});
  }

  // Closes the record and hands every change to `undo`, newest first; returns the progress to put back.
  template <typename Undo>
  Progress Rollback(Undo undo) {
    End();
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) undo(*entry);
    entries_.clear();
    return progress_;
  }

 private:
  bool active_ = false;
  Progress progress_;
  std::vector<Entry> entries_;
};

}  // namespace millrace
