// The undo log behind State's records and messages, for those who implement State.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "common/pipeline/state.h"

namespace millrace {

// Remembers old values while a record or a message runs and gives them back in reverse order. Not thread-safe.
class StateJournal {
 public:
  struct Entry {
    enum class Kind { kValue, kInserted, kErased };
    Kind kind;
    TableId table;
    std::string key;                 // the value's key, or the ordered set's item
    std::optional<std::string> old;  // kValue: what it was; nullopt: it did not exist
  };

  bool active() const { return in_record_ || in_message_; }
  void Begin(const Progress& progress) {
    MILLRACE_CHECK(!in_record_);
    in_record_ = true;
    progress_ = progress;
    record_begin_ = entries_.size();
  }
  void End() {
    MILLRACE_CHECK(in_record_);
    in_record_ = false;
    if (!in_message_) entries_.clear();
  }
  void BeginMessage(const Progress& progress) {
    MILLRACE_CHECK(!active());
    in_message_ = true;
    message_progress_ = progress;
  }
  void EndMessage() {
    MILLRACE_CHECK(in_message_ && !in_record_);
    in_message_ = false;
    entries_.clear();
  }

  // What is about to change. Nothing is kept when neither a record nor a message is open.
  void Value(TableId table, std::string_view key, std::optional<std::string_view> old) {
    if (!active()) return;
    std::optional<std::string> kept;
    if (old.has_value()) kept.emplace(*old);
    entries_.push_back({Entry::Kind::kValue, table, std::string(key), std::move(kept)});
  }
  void Inserted(TableId table, std::string_view item) {
    if (active()) entries_.push_back({Entry::Kind::kInserted, table, std::string(item), std::nullopt});
  }
  void Erased(TableId table, std::string_view item) {
    if (active()) entries_.push_back({Entry::Kind::kErased, table, std::string(item), std::nullopt});
  }

  // Closes the record and hands every change to `undo`, newest first; returns the progress to put back.
  template <typename Undo>
  Progress Rollback(Undo undo) {
    MILLRACE_CHECK(in_record_);
    in_record_ = false;
    UndoFrom(record_begin_, undo);
    return progress_;
  }
  // The same for the message.
  template <typename Undo>
  Progress RollbackMessage(Undo undo) {
    MILLRACE_CHECK(in_message_ && !in_record_);
    in_message_ = false;
    UndoFrom(0, undo);
    return message_progress_;
  }

 private:
  template <typename Undo>
  void UndoFrom(size_t begin, Undo undo) {
    for (size_t i = entries_.size(); i > begin; --i) undo(entries_[i - 1]);
    entries_.resize(begin);
  }

  bool in_record_ = false;
  bool in_message_ = false;
  size_t record_begin_ = 0;
  Progress progress_;  // as it was before the record
  Progress message_progress_;
  std::vector<Entry> entries_;
};

}  // namespace millrace
