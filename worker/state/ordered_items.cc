#include "worker/state/ordered_items.h"

#include "common/strings.h"

namespace millrace {
namespace {

// A string, its heap block where it is long, and its share of a tree node.
size_t ItemBytes(std::string_view item) { return 48 + (item.size() > 15 ? item.size() + 17 : 0); }

}  // namespace

absl::Status OrderedItems::CheckRoom() const {
  if (items_.size() < kMaxOrderedSet) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      StrCat("a stage holds ", kMaxOrderedSet,
             " timers of one partition, the most there may be; use more partitions"));
}

absl::Status OrderedItems::Load(std::string_view item) {
  if (absl::Status status = CheckRoom(); !status.ok()) return status;
  Add(item);
  return absl::OkStatus();
}

absl::Status OrderedItems::Insert(std::string_view item) {
  if (Contains(item)) return absl::OkStatus();
  if (absl::Status status = CheckRoom(); !status.ok()) return status;
  Add(item);
  Change(item, true);
  Remember(item, true);
  return absl::OkStatus();
}

void OrderedItems::Erase(std::string_view item) {
  // `item` may be the view of First(), which dies with the item.
  const std::string kept(item);
  if (!Take(kept)) return;
  Change(kept, false);
  Remember(kept, false);
}

void OrderedItems::Remember(std::string_view item, bool inserted) {
  if (recording_ || in_message_) journal_.push_back({std::string(item), inserted});
}

void OrderedItems::EndRecord() {
  recording_ = false;
  if (!in_message_) journal_.clear();
}

void OrderedItems::RollbackRecord() {
  recording_ = false;
  UndoFrom(record_begin_);
}

void OrderedItems::EndMessage() {
  in_message_ = false;
  journal_.clear();
}

void OrderedItems::RollbackMessage() {
  in_message_ = false;
  UndoFrom(0);
}

void OrderedItems::UndoFrom(size_t begin) {
  for (size_t i = journal_.size(); i > begin; --i) {
    const Undo& undo = journal_[i - 1];
    if (undo.inserted) {
      Take(undo.item);
    } else {
      Add(undo.item);
    }
    Change(undo.item, !undo.inserted);
  }
  journal_.resize(begin);
}

bool OrderedItems::Add(std::string_view item) {
  if (!items_.emplace(item).second) return false;
  memory_bytes_ += ItemBytes(item);
  return true;
}

bool OrderedItems::Take(std::string_view item) {
  const auto found = items_.find(item);
  if (found == items_.end()) return false;
  items_.erase(found);
  memory_bytes_ -= ItemBytes(item);
  return true;
}

// A change that is there already is the opposite one, since items_ decides what is a change: both vanish.
void OrderedItems::Change(std::string_view item, bool inserted) {
  const auto [change, fresh] = changes_.try_emplace(std::string(item), inserted);
  if (!fresh) changes_.erase(change);
}

}  // namespace millrace
