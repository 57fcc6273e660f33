// What the lanes say of their partitions, for the lease and for metrics: written by lanes, read by the
// membership's thread.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/cluster/documents.h"

namespace millrace {

// Thread-safe.
class ReportBoard {
 public:
  // `instance`: the partition's number in this process.
  void Put(uint64_t instance, PartitionReport report) {
    absl::MutexLock lock(&mutex_);
    PartitionReport& held = reports_[instance];
    // What others wait for is told at once, not with the next regular beat.
    if (held.state != report.state || held.stored_for_move != report.stored_for_move) ++changes_;
    held = std::move(report);
  }
  // What was said of one instance stands for the next until that has something to say.
  void Move(uint64_t from, uint64_t to) {
    absl::MutexLock lock(&mutex_);
    auto node = reports_.extract(from);
    if (node.empty()) return;
    node.key() = to;
    reports_.insert(std::move(node));
  }
  std::optional<PartitionReport> Find(uint64_t instance) const {
    absl::MutexLock lock(&mutex_);
    const auto found = reports_.find(instance);
    return found == reports_.end() ? std::nullopt : std::optional(found->second);
  }
  void Remove(uint64_t instance) {
    absl::MutexLock lock(&mutex_);
    if (reports_.erase(instance) > 0) ++changes_;
  }
  std::vector<PartitionReport> All() const {
    absl::MutexLock lock(&mutex_);
    std::vector<PartitionReport> all;
    for (const auto& [instance, report] : reports_) all.push_back(report);
    return all;
  }
  // Counts changes of a partition's condition.
  uint64_t changes() const {
    absl::MutexLock lock(&mutex_);
    return changes_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::map<uint64_t, PartitionReport> reports_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace millrace
