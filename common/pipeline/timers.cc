#include "common/pipeline/timers.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kDueBytes = 8;
// Flipping the sign bit makes big-endian byte order the order of signed numbers.
constexpr uint64_t kSignBit = uint64_t{1} << 63;

}  // namespace

std::string EncodeTimer(const Timer& timer) {
  std::string item;
  item.reserve(kDueBytes + timer.key.size());
  const uint64_t due = static_cast<uint64_t>(timer.due_ms) ^ kSignBit;
  for (int shift = 56; shift >= 0; shift -= 8) item.push_back(static_cast<char>(due >> shift));
  item.append(timer.key);
  return item;
}

absl::Status DecodeTimer(std::string_view item, Timer* timer) {
  if (item.size() < kDueBytes) return absl::DataLossError("a timer entry is shorter than its due time");
  uint64_t due = 0;
  for (size_t i = 0; i < kDueBytes; ++i) due = due << 8 | static_cast<uint8_t>(item[i]);
  timer->due_ms = static_cast<int64_t>(due ^ kSignBit);
  timer->key = item.substr(kDueBytes);
  return absl::OkStatus();
}

int64_t FirstDueMs(const OrderedSet& timers) {
  Timer first;
  if (timers.size() == 0 || !DecodeTimer(timers.First(), &first).ok()) return kEndOfTime;
  return first.due_ms;
}

int64_t ClampDue(int64_t wanted_ms, int64_t now_ms) {
  if (now_ms == kNoTime || now_ms == kEndOfTime) return wanted_ms;
  return std::max(wanted_ms, now_ms + 1);
}

}  // namespace millrace
