// The memory of one Lua state, counted.
#pragma once

#include <cstddef>
#include <cstdlib>

namespace millrace {

// Not thread-safe. Outlives the state.
struct LuaHeap {
  explicit LuaHeap(size_t limit) : limit_bytes(limit) {}
  LuaHeap(const LuaHeap&) = delete;
  LuaHeap& operator=(const LuaHeap&) = delete;

  // A lua_Alloc; `self` is the heap.
  static void* Allocate(void* self, void* place, size_t old_size, size_t new_size) {
    LuaHeap* const heap = static_cast<LuaHeap*>(self);
    if (place == nullptr) old_size = 0;
    if (new_size == 0) {
      std::free(place);
      heap->used_bytes -= old_size;
      return nullptr;
    }
    if (new_size > old_size && heap->used_bytes + (new_size - old_size) > heap->limit_bytes) {
      heap->exceeded = true;
      return nullptr;
    }
    void* const moved = std::realloc(place, new_size);
    if (moved == nullptr) {
      heap->refused = true;
      return nullptr;
    }
    heap->used_bytes += new_size - old_size;
    return moved;
  }

  const size_t limit_bytes;
  size_t used_bytes = 0;
  bool exceeded = false;  // user code cannot hide it behind a pcall
  bool refused = false;   // by the machine, within the limit
};

}  // namespace millrace
