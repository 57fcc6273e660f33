#include "common/append/append_queue.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

size_t SizeOf(const PendingAppend& append) {
  return append.header.size() + append.payload.size() + append.message_id.size();
}

}  // namespace

void AppendQueue::Push(PendingAppend append) {
  bytes_ += SizeOf(append);
  entries_.push_back({std::move(append), 0, absl::ZeroDuration()});
}

const PendingAppend* AppendQueue::NextToSend() const {
  if (next_ == entries_.size()) return nullptr;
  const PendingAppend& append = entries_[next_].append;
  if (append.kind == PendingAppend::Kind::kFrame && letters_in_flight_ > 0) return nullptr;
  return &append;
}

void AppendQueue::Sent(absl::Duration now) {
  Entry& entry = entries_[next_++];
  entry.sent_at = now;
  if (entry.append.kind == PendingAppend::Kind::kDeadLetter) ++letters_in_flight_;
  PassAcknowledgedLetters();
}

size_t AppendQueue::Acknowledge(uint64_t serial, uint64_t sequence) {
  if (serial < front_serial_ || serial - front_serial_ >= entries_.size()) return 0;  // confirmed long ago
  const size_t index = serial - front_serial_;
  Entry& entry = entries_[index];
  const bool first = entry.sequence == 0;
  entry.sequence = std::max(entry.sequence, sequence);
  if (entry.append.kind == PendingAppend::Kind::kDeadLetter && first && index < next_) --letters_in_flight_;

  size_t confirmed = 0;
  while (!entries_.empty() && IsConfirmed(entries_.front())) {
    const Entry& front = entries_.front();
    if (front.append.kind == PendingAppend::Kind::kFrame) confirmed_sequence_ = front.sequence;
    bytes_ -= SizeOf(front.append);
    entries_.pop_front();
    ++front_serial_;
    if (next_ > 0) --next_;  // else a Rewind had given it up too early
    ++confirmed;
  }
  PassAcknowledgedLetters();
  return confirmed;
}

bool AppendQueue::IsConfirmed(const Entry& entry) const {
  if (entry.append.kind == PendingAppend::Kind::kDeadLetter) return entry.sequence > 0;
  return entry.sequence > confirmed_sequence_;
}

// A dead letter that was acknowledged before a Rewind need not go again.
void AppendQueue::PassAcknowledgedLetters() {
  while (next_ < entries_.size() && entries_[next_].sequence > 0 &&
         entries_[next_].append.kind == PendingAppend::Kind::kDeadLetter) {
    ++next_;
  }
}

void AppendQueue::Rewind() {
  next_ = 0;
  letters_in_flight_ = 0;
  PassAcknowledgedLetters();
}

}  // namespace millrace
