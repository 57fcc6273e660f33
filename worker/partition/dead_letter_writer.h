// Dead letters on their way to the job's dead letter stream: appended under an id, again and again until
// acknowledged.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/pipeline/pipeline.h"
#include "worker/partition/partition_id.h"

namespace millrace {

inline constexpr size_t kMaxDeadLettersInFlight = 256;         // then the partition waits
inline constexpr size_t kMaxDeadLetterValueBytes = 256 << 10;  // a longer value or key is cut, and says so
inline constexpr absl::Duration kDeadLetterAckDeadline = absl::Seconds(5);

// A reader drops duplicates by id, so sending one twice does no harm. Owned by a lane; not thread-safe; never
// blocks.
class DeadLetterWriter {
 public:
  DeadLetterWriter(const PartitionKey& partition, Bus& bus, Clock& clock, uint64_t cookie_base);

  void Add(Offset offset, const DeadLetter& letter);
  bool HandleAppended(uint64_t cookie, const absl::Status& status);
  void HandleReconnected();
  void Tick();  // sends again what is overdue

  bool HasRoom() const { return waiting_.size() < kMaxDeadLettersInFlight; }
  bool idle() const { return waiting_.empty(); }
  size_t in_flight() const { return waiting_.size(); }
  // Whether every letter of frames up to `offset` was acknowledged.
  bool AckedUpTo(Offset offset) const;

 private:
  struct Waiting {
    std::string id;
    std::string payload;
    Offset offset;
    bool sent = false;
    absl::Duration sent_at;
  };
  void Send(uint64_t cookie, Waiting& letter);

  const PartitionKey partition_;
  const std::string subject_;
  Bus& bus_;
  Clock& clock_;
  const uint64_t cookie_base_;
  uint32_t cookie_counter_ = 0;
  std::map<uint64_t, Waiting> waiting_;  // by cookie
};

// The letter as the stream holds it.
std::string DeadLetterJson(const PartitionKey& partition, Offset offset, const DeadLetter& letter);

}  // namespace millrace
