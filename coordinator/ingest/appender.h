// Appends to all partitions of a job at once: pipelined, within a window, and sent again when an outcome is
// bad or does not come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "coordinator/ingest/append_queue.h"

namespace millrace {

struct AppenderOptions {
  // Bytes that are not confirmed; HasRoom says no beyond either.
  size_t max_partition_bytes = 4 << 20;
  size_t max_bytes = 32 << 20;
  // An append without an answer for so long is sent again, with all behind it. A leader of a replicated
  // stream is elected within it.
  absl::Duration ack_deadline = absl::Seconds(6);
  absl::Duration first_backoff = absl::Milliseconds(50);
  absl::Duration last_backoff = absl::Seconds(2);
  // No answer at all for so long: give up. A full stream is waited for without end; it says no, which is an
  // answer.
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
  // Looks at deadlines and sends what waited. Call it from time to time. UNAVAILABLE: out of patience.
  absl::Status Tick();

  bool HasRoom(uint32_t partition) const;
  bool HasRoom() const { return bytes_ < options_.max_bytes; }
  bool idle() const { return unconfirmed_partitions_ == 0; }  // all is confirmed
  uint64_t confirmed() const { return confirmed_; }           // appends, since the start
  // What is waited for, for people; empty when all goes well.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Lane {
    AppendQueue queue;
    absl::Duration retry_at;  // nothing is sent before
    absl::Duration backoff;
  };

  void Send(uint32_t partition);
  void HoldBack(uint32_t partition, std::string trouble);
  absl::Status HandleOutcome(const BusEvent& event);

  Bus& bus_;
  Clock& clock_;
  const std::vector<std::string> subjects_;
  const std::string letter_subject_;
  const AppenderOptions options_;
  std::vector<Lane> lanes_;
  size_t bytes_ = 0;
  size_t unconfirmed_partitions_ = 0;
  uint64_t confirmed_ = 0;
  absl::Duration last_answer_at_;
  absl::Duration next_look_at_;
  std::string trouble_;
};

}  // namespace millrace
