// The pull loop: the one thread that polls the data connection and hands what came to the lanes, a batch for
// each.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/threads.h"
#include "worker/lane/lane.h"

namespace millrace {

// An instance number carries the lane that the partition is on, so that an ack finds its way without a table.
inline constexpr uint32_t kMaxLanes = 256;
constexpr uint64_t MakeInstance(uint64_t count, uint32_t lane) { return count * kMaxLanes + lane; }
constexpr uint32_t LaneOf(uint64_t instance) { return static_cast<uint32_t>(instance % kMaxLanes); }

class PullLoop {
 public:
  using Deliver = std::function<void(uint32_t lane, LaneEvent event)>;

  PullLoop(Bus& bus, uint32_t lanes, Deliver deliver);
  ~PullLoop();

  void Start(Threads& threads = SystemThreads());
  void Stop();
  // One poll, by hand in tests: waits up to `wait`, then delivers.
  void Step(absl::Duration wait);

  // Thread-safe.
  ReaderId OpenReader(uint32_t lane, const ReaderOptions& options);
  void CloseReader(ReaderId reader);

 private:
  void Route(std::vector<BusEvent>& events);

  Bus& bus_;
  const Deliver deliver_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Thread> thread_;
  absl::Mutex mutex_;
  absl::flat_hash_map<ReaderId, uint32_t> lane_of_reader_ ABSL_GUARDED_BY(mutex_);
  std::vector<BusEvent> events_;
  std::vector<BusEvents> by_lane_;
};

}  // namespace millrace
