// What the service's loop shows to the threads that answer HTTP.
#pragma once

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "coordinator/leader/cluster_view.h"

namespace millrace {

// Thread-safe. A reader holds the snapshot it took for as long as it likes.
class Board {
 public:
  struct State {
    std::shared_ptr<const ClusterSnapshot> snapshot;  // null until the buckets were read
    bool knows_leader = false;
    Bus* bus = nullptr;  // null until connected; then it outlives the HTTP server
  };

  void Show(State state) {
    absl::MutexLock lock(&mutex_);
    state_ = std::move(state);
  }
  State Look() const {
    absl::MutexLock lock(&mutex_);
    return state_;
  }

 private:
  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace
