// State that lives in memory only: what `try`, `test` and `verify` run the Step on.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "common/pipeline/state.h"
#include "common/pipeline/state_journal.h"

namespace millrace {

// Hashed by key; Scan sorts. Not thread-safe.
class MemoryState final : public State {
 public:
  // `max_ordered_set`: so many entries an ordered set may have.
  explicit MemoryState(size_t max_ordered_set = kMaxOrderedSet);
  ~MemoryState() override;

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

  // Everything in it as text, one line an item: to compare two, and to show where they differ.
  std::string Dump() const;

 private:
  static constexpr size_t kTables = size_t{std::numeric_limits<TableId>::max()} + 1;
  class Slot;
  class Set;
  using Table = absl::flat_hash_map<std::string, std::unique_ptr<std::string>>;

  Table& table(TableId id);
  void PutBack(const StateJournal::Entry& entry);

  std::array<std::unique_ptr<Table>, kTables> tables_;
  std::array<std::unique_ptr<Set>, kTables> sets_;
  const size_t max_ordered_set_;
  std::unique_ptr<Slot> slot_;
  StateJournal journal_;
};

}  // namespace millrace
