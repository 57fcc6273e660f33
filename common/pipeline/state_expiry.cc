#include "common/pipeline/state_expiry.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "common/strings.h"

namespace millrace {
namespace {

constexpr char kKeyRow = 'k';
constexpr char kWheelRow = 'w';
constexpr size_t kTimeBytes = sizeof(int64_t);

// Big endian with the sign turned over: sorts as the number does.
std::array<char, kTimeBytes> EncodeTime(int64_t ms) {
  const uint64_t bits = static_cast<uint64_t>(ms) ^ (uint64_t{1} << 63);
  std::array<char, kTimeBytes> bytes;
  for (size_t i = 0; i < kTimeBytes; ++i) bytes[i] = static_cast<char>(bits >> (56 - 8 * i));
  return bytes;
}

int64_t DecodeTime(std::string_view bytes) {
  uint64_t bits = 0;
  for (const char byte : bytes.substr(0, kTimeBytes)) bits = bits << 8 | static_cast<uint8_t>(byte);
  return static_cast<int64_t>(bits ^ (uint64_t{1} << 63));
}

void MakeRow(char kind, std::string_view due, std::string_view key, std::string* row) {
  row->clear();
  row->push_back(kind);
  row->append(due);
  row->append(key);
}

}  // namespace

StateExpiry::StateExpiry(absl::Duration ttl, TableId table) : table_(table) {
  if (ttl == absl::InfiniteDuration()) return;
  ttl_ms_ = std::max<int64_t>(1, absl::ToInt64Milliseconds(ttl));
  spoke_ms_ = std::max<int64_t>(1, ttl_ms_ / kSpokes);
}

absl::Status StateExpiry::Touch(State& state, std::string_view key) {
  if (!active()) return absl::OkStatus();
  const int64_t expires_ms = std::max<int64_t>(0, state.progress().log_time_ms) + ttl_ms_;
  const int64_t due_ms = (expires_ms + spoke_ms_ - 1) / spoke_ms_ * spoke_ms_;
  const std::array<char, kTimeBytes> bytes = EncodeTime(due_ms);
  const std::string_view due(bytes.data(), bytes.size());
  MakeRow(kKeyRow, "", key, &row_);
  const absl::StatusOr<StateSlot*> slot = state.Find(table_, row_);
  if (!slot.ok()) return slot.status();
  if ((*slot)->value() == due) return absl::OkStatus();
  const bool is_new = !(*slot)->exists();
  std::memcpy((*slot)->Mutable(due.size()), due.data(), due.size());
  return is_new ? Note(state, due, key) : absl::OkStatus();
}

absl::Status StateExpiry::Forget(State& state, std::string_view key) {
  if (!active()) return absl::OkStatus();
  MakeRow(kKeyRow, "", key, &row_);
  const absl::StatusOr<StateSlot*> slot = state.Find(table_, row_);
  if (slot.ok()) (*slot)->Erase();
  return slot.status();
}

absl::Status StateExpiry::Note(State& state, std::string_view due, std::string_view key) {
  MakeRow(kWheelRow, due, key, &row_);
  const absl::StatusOr<StateSlot*> slot = state.Find(table_, row_);
  if (!slot.ok()) return slot.status();
  *(*slot)->Mutable(1) = 1;
  return state.Ordered(table_).Insert(due);
}

absl::Status StateExpiry::PassLogTime(State& state,
                                      absl::FunctionRef<absl::Status(std::string_view, int64_t)> drop) {
  if (!active()) return absl::OkStatus();
  OrderedSet& spokes = state.Ordered(table_);
  size_t left = kMostKeysAPass;
  std::vector<std::string> keys;
  std::string prefix;
  while (left > 0 && spokes.size() > 0 && DecodeTime(spokes.First()) <= state.progress().log_time_ms) {
    const std::string due(spokes.First());
    MakeRow(kWheelRow, due, "", &prefix);
    keys.clear();
    const ScanRange range{.prefix = prefix, .after = {}, .most = left};
    absl::Status scanned = state.Scan(table_, range, [&](std::string_view row, std::string_view) {
      keys.emplace_back(row.substr(prefix.size()));
      return true;
    });
    if (!scanned.ok()) return scanned;
    if (keys.size() < left) spokes.Erase(due);
    left -= keys.size();
    for (const std::string& key : keys) {
      if (absl::Status looked = Look(state, due, key, drop); !looked.ok()) return looked;
    }
  }
  return absl::OkStatus();
}

absl::Status StateExpiry::Look(State& state, std::string_view due, std::string_view key,
                               absl::FunctionRef<absl::Status(std::string_view, int64_t)> drop) {
  MakeRow(kWheelRow, due, key, &row_);
  absl::StatusOr<StateSlot*> slot = state.Find(table_, row_);
  if (!slot.ok()) return slot.status();
  (*slot)->Erase();
  MakeRow(kKeyRow, "", key, &row_);
  if (slot = state.Find(table_, row_); !slot.ok()) return slot.status();
  if (!(*slot)->exists()) return absl::OkStatus();
  if (const std::string later((*slot)->value()); later > due) return Note(state, later, key);
  (*slot)->Erase();
  return drop(key, DecodeTime(due));
}

int64_t StateExpiry::NextDueMs(State& state) const {
  if (!active() || state.progress().ended) return kEndOfTime;
  const OrderedSet& spokes = state.Ordered(table_);
  return spokes.size() == 0 ? kEndOfTime : DecodeTime(spokes.First());
}

}  // namespace millrace
