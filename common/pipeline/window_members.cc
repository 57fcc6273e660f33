#include "common/pipeline/window_members.h"

#include <cstring>

namespace millrace {
namespace {

constexpr char kSetMark = 1;  // begins a row's value, so that none is empty

void AppendBigEndian(uint64_t number, int bytes, std::string* out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out->push_back(static_cast<char>(number >> shift));
}

std::string HeadOf(const WindowMembers::Set& set) {
  std::string head;
  head.reserve(set.key.size() + 14);
  AppendBigEndian(set.key.size(), 4, &head);
  head.append(set.key);
  AppendBigEndian(set.window, 8, &head);
  AppendBigEndian(set.column, 2, &head);
  return head;
}

void StoreLink(std::string_view value, StateSlot* slot) {
  char* const to = slot->Mutable(1 + value.size());
  *to = kSetMark;
  if (!value.empty()) std::memcpy(to + 1, value.data(), value.size());
}

}  // namespace

absl::StatusOr<bool> WindowMembers::Add(State& state, const Set& set, std::string_view value) {
  const std::string head = HeadOf(set);
  const std::string member = head + std::string(value);
  absl::StatusOr<StateSlot*> slot = state.Find(table_, member);
  if (!slot.ok()) return slot.status();
  if ((*slot)->exists()) return false;
  if (slot = state.Find(table_, head); !slot.ok()) return slot.status();
  const std::string before((*slot)->exists() ? (*slot)->value().substr(1) : std::string_view());
  StoreLink(value, *slot);
  if (slot = state.Find(table_, member); !slot.ok()) return slot.status();
  StoreLink(before, *slot);
  return true;
}

absl::Status WindowMembers::TakeEach(State& state, const Set& set,
                                     absl::FunctionRef<absl::Status(std::string_view value)> visit) {
  const std::string head = HeadOf(set);
  std::string member = head;
  while (true) {
    const absl::StatusOr<StateSlot*> slot = state.Find(table_, member);
    if (!slot.ok()) return slot.status();
    const std::string value((*slot)->exists() ? (*slot)->value().substr(1) : std::string_view());
    (*slot)->Erase();
    if (value.empty()) return absl::OkStatus();
    if (absl::Status visited = visit(value); !visited.ok()) return visited;
    member.resize(head.size());
    member.append(value);
  }
}

absl::StatusOr<int64_t> WindowMembers::Move(State& state, const Set& from, const Set& into) {
  int64_t fresh = 0;
  const absl::Status taken = TakeEach(state, from, [&](std::string_view value) {
    const absl::StatusOr<bool> added = Add(state, into, value);
    if (added.ok() && *added) ++fresh;
    return added.status();
  });
  if (!taken.ok()) return taken;
  return fresh;
}

absl::Status WindowMembers::Drop(State& state, const Set& set) {
  return TakeEach(state, set, [](std::string_view) { return absl::OkStatus(); });
}

}  // namespace millrace
