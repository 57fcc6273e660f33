#include "worker/state/state_table.h"

#include <utility>

#include "common/check.h"

namespace millrace {
namespace {

constexpr size_t kFirstSlots = 16;
// Of four slots, so many may be taken; with fewer than one in eight taken the table shrinks.
constexpr size_t kMaxLoadQuarters = 3;
constexpr size_t kShrinkBelowEighths = 1;

}  // namespace

StateTable::~StateTable() {
  ForEach([](StateEntry* entry) { StateEntry::Free(entry); });
}

size_t StateTable::SlotOf(const StateEntry* entry, uint64_t hash) const {
  size_t i = hash & mask();
  while (slots_[i].entry != entry) {
    MILLRACE_CHECK(slots_[i].entry != nullptr);
    i = (i + 1) & mask();
  }
  return i;
}

void StateTable::Insert(StateEntry* entry, uint64_t hash) {
  if ((size_ + 1) * 4 > slots_.size() * kMaxLoadQuarters) Resize(std::max(kFirstSlots, 2 * slots_.size()));
  size_t i = hash & mask();
  while (slots_[i].entry != nullptr) i = (i + 1) & mask();
  slots_[i] = {hash, entry};
  ++size_;
}

void StateTable::Replace(StateEntry* from, StateEntry* to, uint64_t hash) {
  slots_[SlotOf(from, hash)].entry = to;
}

// Those behind it that could stand nearer to where they belong move up, so that no probe ends too early
// (Knuth, The Art of Computer Programming, vol. 3, 6.4, algorithm R).
void StateTable::Remove(StateEntry* entry, uint64_t hash) {
  size_t hole = SlotOf(entry, hash);
  for (size_t i = (hole + 1) & mask(); slots_[i].entry != nullptr; i = (i + 1) & mask()) {
    const size_t probed = (i - slots_[i].hash) & mask();
    if (probed < ((i - hole) & mask())) continue;  // it belongs between the hole and its place
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole] = {};
  --size_;
  if (slots_.size() > kFirstSlots && size_ * 8 < slots_.size() * kShrinkBelowEighths)
    Resize(slots_.size() / 2);
}

void StateTable::Resize(size_t slots) {
  const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(slots));
  for (const Slot& slot : before) {
    if (slot.entry == nullptr) continue;
    size_t i = slot.hash & mask();
    while (slots_[i].entry != nullptr) i = (i + 1) & mask();
    slots_[i] = slot;
  }
}

}  // namespace millrace
