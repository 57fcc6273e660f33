// The ordered set of one stage, in memory, with what changed since the last commit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "common/pipeline/state.h"

namespace millrace {

// Not thread-safe.
class OrderedItems : public OrderedSet {
 public:
  absl::Status Insert(std::string_view item) override;
  void Erase(std::string_view item) override;
  bool Contains(std::string_view item) const override { return items_.contains(item); }
  size_t size() const override { return items_.size(); }
  std::string_view First() const override { return *items_.begin(); }

  // An item that the database has: no change. RESOURCE_EXHAUSTED as Insert.
  absl::Status Load(std::string_view item);

  // As State: with a journal from BeginRecord on.
  void BeginRecord() {
    recording_ = true;
    record_begin_ = journal_.size();
  }
  void EndRecord();
  void RollbackRecord();
  void BeginMessage() { in_message_ = true; }
  void EndMessage();
  void RollbackMessage();

  // The items inserted (true) and erased (false) since the last Freeze, net; then starts anew.
  template <typename Visit>
  void Freeze(Visit&& visit) {
    for (const auto& [item, inserted] : changes_) visit(std::string_view(item), inserted);
    changes_.clear();
  }
  size_t changes() const { return changes_.size(); }
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Undo {
    std::string item;
    bool inserted;
  };

  absl::Status CheckRoom() const;
  bool Add(std::string_view item);
  bool Take(std::string_view item);
  void Change(std::string_view item, bool inserted);
  void Remember(std::string_view item, bool inserted);
  void UndoFrom(size_t begin);

  absl::btree_set<std::string, std::less<>> items_;
  absl::flat_hash_map<std::string, bool> changes_;
  std::vector<Undo> journal_;  // of the message, or of the record where there is no message
  size_t record_begin_ = 0;
  bool recording_ = false;
  bool in_message_ = false;
  size_t memory_bytes_ = 0;
};

}  // namespace millrace
