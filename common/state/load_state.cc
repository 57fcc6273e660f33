#include "common/state/load_state.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "common/state/row_key.h"
#include "common/strings.h"

namespace millrace {
namespace {

absl::Status LoadRow(std::string_view key, std::string_view value, State* state) {
  const uint8_t space = key.empty() ? 0 : static_cast<uint8_t>(key.front());
  if (space >= kOrderedSpace && space < kOrderedSpace + kMaxTables) {
    return state->Ordered(TableOf(space)).Insert(key.substr(1));
  }
  if (!IsTableSpace(space)) return absl::DataLossError("a row is none of a partition's");
  const absl::StatusOr<StateSlot*> slot = state->Find(TableOf(space), key.substr(1));
  if (!slot.ok()) return slot.status();
  std::copy(value.begin(), value.end(), (*slot)->Mutable(value.size()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CommitRow> LoadState(PartitionDb& db, State* state) {
  const absl::StatusOr<std::optional<std::string>> bytes = db.Get(kCommitRowKey);
  if (!bytes.ok()) return bytes.status();
  if (!bytes->has_value()) return absl::DataLossError(StrCat("the state in ", db.dir(), " has no commit"));
  absl::StatusOr<CommitRow> commit = DecodeCommitRow(**bytes);
  if (!commit.ok()) return commit.status();
  const std::unique_ptr<PartitionDb::Cursor> row = db.Seek(RowKey(kTableSpace, ""));
  for (; row->Valid(); row->Next()) {
    if (absl::Status status = LoadRow(row->key(), row->value(), state); !status.ok()) return status;
  }
  if (absl::Status status = row->status(); !status.ok()) return status;
  state->progress() = commit->progress;
  return commit;
}

}  // namespace millrace
