// What one partition has still to get, in order: pipelined appends without expected sequences, made safe by
// sending again (rules R2 and R3).
//
// An acknowledgement alone does not say that readers take the message: one before it may be missing, and they
// then drop it as a gap. So a frame is confirmed when the frame before it is, and an acknowledgement has put
// it behind that one in the stream. Until then it stays here and can be sent again, with the same bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

struct PendingAppend {
  enum class Kind {
    kFrame,       // on the partition's stream
    kDeadLetter,  // on the dead letters': frames behind it wait until it is acknowledged
  };
  Kind kind = Kind::kFrame;
  std::string header;
  std::string payload;
  std::string message_id;
};

// Pure bookkeeping: no bus, no clock. Not thread-safe.
//
// Invariants: what is confirmed leaves in order; nothing is sent before what stands in front of it.
class AppendQueue {
 public:
  void Push(PendingAppend append);

  // The next to send now, or null: all is sent, or a dead letter must be acknowledged first.
  const PendingAppend* NextToSend() const;
  // The number that tells NextToSend's append from all others of this queue; comes back in Acknowledge.
  uint64_t next_serial() const { return front_serial_ + next_; }
  uint64_t front_serial() const { return front_serial_; }
  // NextToSend's append was sent.
  void Sent(absl::Duration now);

  // An attempt at `serial` is in the stream at `sequence`. Returns how many appends became confirmed.
  size_t Acknowledge(uint64_t serial, uint64_t sequence);

  // An outcome is unknown or bad: everything that is not confirmed is to be sent again, in order.
  void Rewind();

  // When the front was sent last. REQUIRES: HasOutstanding().
  absl::Duration front_sent_at() const { return entries_.front().sent_at; }
  bool HasOutstanding() const { return next_ > 0; }
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  // Where in the stream the last confirmed frame is; 0: none yet.
  uint64_t confirmed_sequence() const { return confirmed_sequence_; }
  size_t bytes() const { return bytes_; }  // of all that is not confirmed

 private:
  struct Entry {
    PendingAppend append;
    uint64_t sequence = 0;  // the last one acknowledged; 0: none
    absl::Duration sent_at;
  };
  bool IsConfirmed(const Entry& entry) const;
  void PassAcknowledgedLetters();

  std::deque<Entry> entries_;
  uint64_t front_serial_ = 1;
  size_t next_ = 0;               // index of the next to send
  size_t letters_in_flight_ = 0;  // dead letters before next_ without an acknowledgement
  uint64_t confirmed_sequence_ = 0;
  size_t bytes_ = 0;
};

}  // namespace millrace
