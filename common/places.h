// A number of places for things that come from outside, such as questions: who finds none is turned away.
#pragma once

#include <atomic>
#include <memory>

namespace millrace {

// Thread-safe. Outlives the places that were taken.
class Places {
 public:
  explicit Places(int count) : free_(count) {}
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  // A place, free again when the last copy of it is gone; null when none is free.
  using Place = std::shared_ptr<void>;
  Place Take() {
    if (free_.fetch_sub(1) <= 0) {
      ++free_;
      return nullptr;
    }
    return Place(this, [](Places* places) { ++places->free_; });
  }

 private:
  std::atomic<int> free_;
};

}  // namespace millrace
