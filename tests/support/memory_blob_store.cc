#include "tests/support/memory_blob_store.h"

#include <utility>

#include "common/strings.h"

namespace millrace {

class MemoryBlobStore final : public BlobStore {
 public:
  explicit MemoryBlobStore(MemoryBlobPlace& place) : place_(place) {}

  absl::Status Put(const std::string& name, std::string_view bytes) override {
    if (absl::Status status = CheckBlobName(name); !status.ok()) return status;
    absl::MutexLock lock(&place_.mutex_);
    if (absl::Status status = Answer(); !status.ok()) return status;
    ++place_.puts_;
    place_.objects_[name] = std::string(bytes);
    return absl::OkStatus();
  }

  absl::Status Get(const std::string& name, const Sink& sink) override {
    std::string bytes;
    {
      absl::MutexLock lock(&place_.mutex_);
      if (absl::Status status = Answer(); !status.ok()) return status;
      const auto at = place_.objects_.find(name);
      if (at == place_.objects_.end()) return absl::NotFoundError(name);
      bytes = at->second;
    }
    return bytes.empty() ? absl::OkStatus() : sink(bytes);
  }

  absl::StatusOr<BlobInfo> Head(const std::string& name) override {
    absl::MutexLock lock(&place_.mutex_);
    if (absl::Status status = Answer(); !status.ok()) return status;
    const auto at = place_.objects_.find(name);
    if (at == place_.objects_.end()) return absl::NotFoundError(name);
    return BlobInfo{name, at->second.size()};
  }

  absl::StatusOr<std::vector<BlobInfo>> List(const std::string& prefix) override {
    absl::MutexLock lock(&place_.mutex_);
    if (absl::Status status = Answer(); !status.ok()) return status;
    std::vector<BlobInfo> found;
    for (const auto& [name, bytes] : place_.objects_) {
      if (name.starts_with(prefix)) found.push_back({name, bytes.size()});
    }
    return found;
  }

  absl::Status Delete(const std::string& name) override {
    absl::MutexLock lock(&place_.mutex_);
    if (absl::Status status = Answer(); !status.ok()) return status;
    place_.objects_.erase(name);
    return absl::OkStatus();
  }

  absl::Status Tidy(absl::Duration) override { return absl::OkStatus(); }
  std::string ToString() const override { return "memory"; }

 private:
  absl::Status Answer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(place_.mutex_) {
    if (place_.calls_left_ == 0) return absl::UnavailableError("the store does not answer");
    if (place_.calls_left_ != SIZE_MAX) --place_.calls_left_;
    return absl::OkStatus();
  }

  MemoryBlobPlace& place_;
};

std::unique_ptr<BlobStore> MemoryBlobPlace::Open() { return std::make_unique<MemoryBlobStore>(*this); }

void MemoryBlobPlace::FailAfter(size_t calls) {
  absl::MutexLock lock(&mutex_);
  calls_left_ = calls;
}

void MemoryBlobPlace::Recover() { FailAfter(SIZE_MAX); }

void MemoryBlobPlace::FlipBit(const std::string& name, size_t position) {
  absl::MutexLock lock(&mutex_);
  std::string& bytes = objects_.at(name);
  bytes[position % bytes.size()] ^= 1;
}

void MemoryBlobPlace::Cut(const std::string& name, size_t bytes) {
  absl::MutexLock lock(&mutex_);
  objects_.at(name).resize(bytes);
}

void MemoryBlobPlace::Remove(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  objects_.erase(name);
}

void MemoryBlobPlace::Rename(const std::string& from, const std::string& to) {
  absl::MutexLock lock(&mutex_);
  objects_[to] = std::exchange(objects_.at(from), "");
  objects_.erase(from);
}

std::vector<std::string> MemoryBlobPlace::Names(const std::string& prefix) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : objects_) {
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

size_t MemoryBlobPlace::puts() {
  absl::MutexLock lock(&mutex_);
  return puts_;
}

}  // namespace millrace
