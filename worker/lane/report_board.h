// What the lanes say of their partitions, for the lease and for metrics: written by lanes, read by the
// membership's thread.
#pragma once

#include <map>
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
    if (held.state != report.state) ++changes_;
    held = std::move(report);
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
