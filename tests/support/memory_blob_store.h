// A BlobStore in memory with the contract of the real ones, and faults to order.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/blob/blob_store.h"

namespace millrace {

// What is in it outlives the stores that look at it. Thread-safe.
class MemoryBlobPlace {
 public:
  std::unique_ptr<BlobStore> Open();

  // --- faults
  // The store answers so many calls more, and then UNAVAILABLE to each, until it is told otherwise.
  void FailAfter(size_t calls);
  void Recover();
  // Turns one bit of the object's byte at `position` modulo its size.
  void FlipBit(const std::string& name, size_t position);
  void Cut(const std::string& name, size_t bytes);
  void Remove(const std::string& name);
  void Rename(const std::string& from, const std::string& to);

  std::vector<std::string> Names(const std::string& prefix = "");
  size_t puts();

 private:
  friend class MemoryBlobStore;

  absl::Mutex mutex_;
  std::map<std::string, std::string> objects_ ABSL_GUARDED_BY(mutex_);
  size_t calls_left_ ABSL_GUARDED_BY(mutex_) = SIZE_MAX;
  size_t puts_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace millrace
