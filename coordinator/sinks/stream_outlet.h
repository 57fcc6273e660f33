// Results as messages of a stream that is somebody else's: each at least once, and once for who reads the stream as
// long as its duplicate window (each message has an id made of the result's label) covers what is sent again.
//
// A result leaves when every earlier one of its key was acknowledged: whatever fails, a key's results are stored in
// their order. The position is put at `sink.<uid>.at` behind what was acknowledged. Two coordinators that both
// believe they lead each put true positions, and send the same messages under the same ids: the one that finds the
// other's name there begins anew from it.
#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/job/job_spec.h"
#include "coordinator/sinks/outlet.h"
#include "coordinator/sinks/target_stream.h"

namespace millrace {

// Results that were sent and not yet acknowledged.
inline constexpr size_t kMaxSinkInFlight = 1024;
inline constexpr size_t kMaxSinkInFlightBytes = 8 << 20;
// Results that may be sent again after a crash.
inline constexpr size_t kMaxSinkUncommitted = 20'000;

struct StreamOutletOptions {
  std::string uid;
  SinkSpec sink;
  std::string writer;  // random
};

class StreamOutlet final : public Outlet {
 public:
  // `keys` and the clock outlive it; `publisher` is a connection of its own, whose Poll it uses.
  StreamOutlet(StreamOutletOptions options, Bus& keys, std::unique_ptr<Bus> publisher, Clock& clock)
      : options_(std::move(options)), keys_(keys), publisher_(std::move(publisher)), clock_(clock) {}

  absl::StatusOr<SinkPosition> Begin() override;
  absl::Status Put(PartitionId partition, const RecordView& record) override;
  absl::Status Flush() override { return AwaitAcks(); }
  bool full() const override { return uncommitted_ >= kMaxSinkUncommitted; }
  // ABORTED: another writer puts positions.
  absl::Status Commit(const SinkPosition& position) override;
  absl::Status End() override;
  std::string ToString() const override;

 private:
  absl::Status AwaitAcks();
  absl::Status HandleEvent(const BusEvent& event);

  const StreamOutletOptions options_;
  Bus& keys_;
  const std::unique_ptr<Bus> publisher_;
  Clock& clock_;
  TargetStream target_;
  uint64_t next_cookie_ = 1;
  absl::flat_hash_set<uint64_t> in_flight_;  // cookies
  absl::flat_hash_set<std::string> keys_in_flight_;
  size_t in_flight_bytes_ = 0;
  size_t uncommitted_ = 0;
};

}  // namespace millrace
