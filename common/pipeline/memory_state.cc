#include "common/pipeline/memory_state.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/strings.h"

namespace millrace {

class MemoryState::Slot final : public StateSlot {
 public:
  explicit Slot(MemoryState* owner) : owner_(owner) {}

  void PointAt(TableId id, Table* table, std::string_view key) {
    id_ = id;
    table_ = table;
    const auto found = table->find(ToAbsl(key));
    value_ = found == table->end() ? nullptr : found->second.get();
    key_.assign(key);
  }

  bool exists() const override { return value_ != nullptr; }
  std::string_view value() const override {
    return value_ == nullptr ? std::string_view() : std::string_view(*value_);
  }
  char* Mutable(size_t size) override {
    Remember();
    if (value_ == nullptr)
      value_ = table_->emplace(key_, std::make_unique<std::string>()).first->second.get();
    if (value_->size() != size) value_->resize(size);
    return value_->data();
  }
  void Erase() override {
    if (value_ == nullptr) return;
    Remember();
    table_->erase(key_);
    value_ = nullptr;
  }

 private:
  void Remember() {
    if (!owner_->journal_.active()) return;
    std::optional<std::string_view> old;
    if (value_ != nullptr) old = *value_;
    owner_->journal_.Value(id_, key_, old);
  }

  MemoryState* const owner_;
  TableId id_ = 0;
  Table* table_ = nullptr;
  std::string key_;
  std::string* value_ = nullptr;  // null: does not exist
};

class MemoryState::Set final : public OrderedSet {
 public:
  Set(TableId id, size_t max_items, StateJournal* journal)
      : id_(id), max_items_(max_items), journal_(journal) {}

  absl::Status Insert(std::string_view item) override {
    if (items_.contains(item)) return absl::OkStatus();
    if (items_.size() >= max_items_) {
      return absl::ResourceExhaustedError(StrCat("over ", max_items_, " entries wait"));
    }
    items_.emplace(item);
    journal_->Inserted(id_, item);
    return absl::OkStatus();
  }
  void Erase(std::string_view item) override {
    const auto found = items_.find(item);
    if (found == items_.end()) return;
    journal_->Erased(id_, item);
    items_.erase(found);
  }
  bool Contains(std::string_view item) const override { return items_.contains(item); }
  size_t size() const override { return items_.size(); }
  std::string_view First() const override { return *items_.begin(); }

  const std::set<std::string, std::less<>>& items() const { return items_; }
  std::set<std::string, std::less<>>& items() { return items_; }

 private:
  const TableId id_;
  const size_t max_items_;
  StateJournal* const journal_;
  std::set<std::string, std::less<>> items_;
};

MemoryState::MemoryState(size_t max_ordered_set)
    : max_ordered_set_(max_ordered_set), slot_(std::make_unique<Slot>(this)) {}
MemoryState::~MemoryState() = default;

MemoryState::Table& MemoryState::table(TableId id) {
  if (tables_[id] == nullptr) tables_[id] = std::make_unique<Table>();
  return *tables_[id];
}

absl::StatusOr<StateSlot*> MemoryState::Find(TableId id, std::string_view key) {
  slot_->PointAt(id, &table(id), key);
  return slot_.get();
}

void MemoryState::Prefetch(TableId id, absl::Span<const std::string_view> keys) {
  for (const std::string_view key : keys) table(id).prefetch(ToAbsl(key));
}

OrderedSet& MemoryState::Ordered(TableId id) {
  if (sets_[id] == nullptr) sets_[id] = std::make_unique<Set>(id, max_ordered_set_, &journal_);
  return *sets_[id];
}

absl::Status MemoryState::Scan(
    TableId id, const ScanRange& range,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) {
  std::vector<std::pair<std::string_view, std::string_view>> found;
  for (const auto& [key, value] : table(id)) {
    if (range.Holds(key)) found.emplace_back(key, *value);
  }
  const size_t visited = std::min(range.most, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(visited), found.end());
  found.resize(visited);
  for (const auto& [key, value] : found) {
    if (!visit(key, value)) break;
  }
  return absl::OkStatus();
}

void MemoryState::BeginRecord() { journal_.Begin(progress_); }
void MemoryState::EndRecord() { journal_.End(); }
void MemoryState::RollbackRecord() {
  progress_ = journal_.Rollback([this](const StateJournal::Entry& entry) { PutBack(entry); });
}

void MemoryState::BeginMessage() { journal_.BeginMessage(progress_); }
void MemoryState::EndMessage() { journal_.EndMessage(); }
void MemoryState::RollbackMessage() {
  progress_ = journal_.RollbackMessage([this](const StateJournal::Entry& entry) { PutBack(entry); });
}

void MemoryState::PutBack(const StateJournal::Entry& entry) {
  switch (entry.kind) {
    case StateJournal::Entry::Kind::kValue:
      if (entry.old.has_value()) {
        table(entry.table)[entry.key] = std::make_unique<std::string>(*entry.old);
      } else {
        table(entry.table).erase(entry.key);
      }
      return;
    case StateJournal::Entry::Kind::kInserted:
      sets_[entry.table]->items().erase(entry.key);
      return;
    case StateJournal::Entry::Kind::kErased:
      sets_[entry.table]->items().insert(entry.key);
      return;
  }
}

std::string MemoryState::Dump() const {
  std::string out;
  for (size_t id = 0; id < kTables; ++id) {
    std::vector<std::pair<std::string_view, std::string_view>> rows;
    if (tables_[id] != nullptr) {
      for (const auto& [key, value] : *tables_[id]) rows.emplace_back(key, *value);
    }
    std::sort(rows.begin(), rows.end());
    for (const auto& [key, value] : rows) {
      StrAppend(&out, id, " ", absl::CHexEscape(ToAbsl(key)), " = ", absl::BytesToHexString(ToAbsl(value)),
                "\n");
    }
    if (sets_[id] == nullptr) continue;
    for (const std::string& item : sets_[id]->items()) {
      StrAppend(&out, id, " waits ", absl::CHexEscape(item), "\n");
    }
  }
  StrAppend(&out, "log time ", progress_.log_time_ms, ", watermark ", progress_.watermark_ms, ", in ",
            progress_.records_in, ", out ", progress_.records_out, ", dead letters ", progress_.dead_letters,
            ", skipped ", progress_.skipped, "\n");
  return out;
}

}  // namespace millrace
