// Appends to all partitions of a segment at once: pipelined, within a window, and sent again when an outcome
// is bad or does not come. What an ingest and the owners of a segment before another one write with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/append/append_queue.h"
#include "common/bus/bus.h"
#include "common/clock.h"

namespace millrace {

// An append's cookie is cookie_base | partition << 18 | the low bits of its serial.
inline constexpr int kAppendCookieBits = 30;
uint32_t AppendPartition(uint64_t cookie);

struct AppenderOptions {
  uint64_t cookie_base = 0;  // above kAppendCookieBits: whose appends these are, among others on the bus
  // Bytes that are not confirmed; HasRoom says no beyond either.
  size_t max_partition_bytes = 4 << 20;
  size_t max_bytes = 32 << 20;
  // An append without an answer for so long is sent again, with all behind it. A leader of a replicated
  // stream is elected within it.
  absl::Duration ack_deadline = absl::Seconds(6);
  absl::Duration first_backoff = absl::Milliseconds(50);
  absl::Duration last_backoff = absl::Seconds(2);
  // No answer at all for so long: give up; InfiniteDuration: never. A full stream is waited for without end;
  // it says no, which is an answer.
  absl::Duration patience = absl::Minutes(2);
};

// Not thread-safe; events come from whoever polls the bus.
class Appender {
 public:
  Appender(Bus& bus, Clock& clock, std::vector<std::string> subjects, std::string letter_subject,
           const AppenderOptions& options);

  // Takes it and sends what can be sent. Callers ask HasRoom first; what they push beyond is held.
  void Push(uint32_t partition, PendingAppend append);

  // Takes the outcomes of its appends, and reconnections. NOT_FOUND: a stream is gone.
  absl::Status Handle(const BusEvent& event);
  bool Owns(uint64_t cookie) const { return cookie >> kAppendCookieBits == cookie_owner_; }
  // REQUIRES: Owns(cookie).
  absl::Status HandleOutcome(uint64_t cookie, const absl::Status& status, uint64_t sequence);
  void HandleReconnected();
  // Looks at deadlines and sends what waited. Call it from time to time. UNAVAILABLE: out of patience.
  absl::Status Tick();

  bool HasRoom(uint32_t partition) const;
  bool HasRoom() const { return bytes_ < options_.max_bytes; }
  bool idle() const { return unconfirmed_partitions_ == 0; }  // all is confirmed
  uint64_t confirmed() const { return confirmed_; }           // appends, since the start
  uint64_t confirmed(uint32_t partition) const { return lanes_[partition].confirmed; }
  // Where in its stream the partition's last confirmed append is; 0: none yet.
  uint64_t confirmed_sequence(uint32_t partition) const {
    return lanes_[partition].queue.confirmed_sequence();
  }
  // What is waited for, for people; empty when all goes well.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Lane {
    AppendQueue queue;
    absl::Duration retry_at;  // nothing is sent before
    absl::Duration backoff;
    uint64_t confirmed = 0;  // appends
  };

  void Send(uint32_t partition);
  void HoldBack(uint32_t partition, std::string trouble);

  Bus& bus_;
  Clock& clock_;
  const std::vector<std::string> subjects_;
  const std::string letter_subject_;
  const AppenderOptions options_;
  const uint64_t cookie_owner_;
  std::vector<Lane> lanes_;
  size_t bytes_ = 0;
  size_t unconfirmed_partitions_ = 0;
  uint64_t confirmed_ = 0;
  absl::Duration last_answer_at_;
  absl::Duration next_look_at_;
  std::string trouble_;
};

}  // namespace millrace
