#include "common/append/appender.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr int kPartitionShift = 18;
constexpr uint64_t kSerialMask = (uint64_t{1} << kPartitionShift) - 1;
constexpr uint64_t kPartitionMask = (uint64_t{1} << (kAppendCookieBits - kPartitionShift)) - 1;
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);

}  // namespace

uint32_t AppendPartition(uint64_t cookie) {
  return static_cast<uint32_t>(cookie >> kPartitionShift & kPartitionMask);
}

Appender::Appender(Bus& bus, Clock& clock, std::vector<std::string> subjects, std::string letter_subject,
                   const AppenderOptions& options)
    : bus_(bus),
      clock_(clock),
      subjects_(std::move(subjects)),
      letter_subject_(std::move(letter_subject)),
      options_(options),
      cookie_owner_(options.cookie_base >> kAppendCookieBits),
      lanes_(subjects_.size()),
      last_answer_at_(clock.Monotonic()),
      next_look_at_(last_answer_at_) {
  for (Lane& lane : lanes_) lane.backoff = options.first_backoff;
}

bool Appender::HasRoom(uint32_t partition) const {
  return HasRoom() && lanes_[partition].queue.bytes() < options_.max_partition_bytes;
}

void Appender::Push(uint32_t partition, PendingAppend append) {
  AppendQueue& queue = lanes_[partition].queue;
  MILLRACE_CHECK(queue.size() < kSerialMask / 2);  // cookies of all that is on the way differ
  if (unconfirmed_partitions_ == 0) last_answer_at_ = clock_.Monotonic();  // patience starts with the waiting
  if (queue.empty()) ++unconfirmed_partitions_;
  bytes_ -= queue.bytes();
  queue.Push(std::move(append));
  bytes_ += queue.bytes();
  Send(partition);
}

void Appender::Send(uint32_t partition) {
  Lane& lane = lanes_[partition];
  const absl::Duration now = clock_.Monotonic();
  if (now < lane.retry_at) return;
  while (const PendingAppend* next = lane.queue.NextToSend()) {
    const bool letter = next->kind == PendingAppend::Kind::kDeadLetter;
    AppendRequest request;
    request.subject = letter ? letter_subject_ : subjects_[partition];
    request.header = next->header;
    request.payload = next->payload;
    request.message_id = next->message_id;
    request.cookie = options_.cookie_base | uint64_t{partition} << kPartitionShift |
                     (lane.queue.next_serial() & kSerialMask);
    if (const absl::Status sent = bus_.Append(request); !sent.ok()) {
      // It did not leave, so what was sent before it stands.
      lane.retry_at = now + lane.backoff;
      return;
    }
    lane.queue.Sent(now);
  }
}

void Appender::HoldBack(uint32_t partition, std::string trouble) {
  Lane& lane = lanes_[partition];
  const absl::Duration now = clock_.Monotonic();
  lane.queue.Rewind();
  trouble_ = std::move(trouble);
  // One bad outcome is followed by those of all that was in flight behind it.
  if (now < lane.retry_at) return;
  lane.retry_at = now + lane.backoff;
  lane.backoff = std::min(2 * lane.backoff, options_.last_backoff);
}

absl::Status Appender::Handle(const BusEvent& event) {
  if (event.type == BusEvent::Type::kAppended && Owns(event.cookie)) {
    return HandleOutcome(event.cookie, event.status, event.sequence);
  }
  if (event.type == BusEvent::Type::kDisconnected) trouble_ = "the connection to NATS is lost; waiting";
  if (event.type == BusEvent::Type::kReconnected) HandleReconnected();
  return absl::OkStatus();
}

void Appender::HandleReconnected() {
  for (uint32_t p = 0; p < lanes_.size(); ++p) {
    lanes_[p].queue.Rewind();
    Send(p);
  }
}

absl::Status Appender::HandleOutcome(uint64_t cookie, const absl::Status& status, uint64_t sequence) {
  const uint32_t partition = AppendPartition(cookie);
  if (partition >= lanes_.size()) return absl::OkStatus();
  Lane& lane = lanes_[partition];

  if (status.ok()) {
    last_answer_at_ = clock_.Monotonic();
    bytes_ -= lane.queue.bytes();
    // A number that lies before the front comes out far behind the end: confirmed long ago.
    const uint64_t front = lane.queue.front_serial();
    const size_t confirmed = lane.queue.Acknowledge(front + ((cookie - front) & kSerialMask), sequence);
    bytes_ += lane.queue.bytes();
    confirmed_ += confirmed;
    lane.confirmed += confirmed;
    if (confirmed > 0) {
      lane.backoff = options_.first_backoff;
      trouble_.clear();
      if (lane.queue.empty()) --unconfirmed_partitions_;
    }
    Send(partition);
    return absl::OkStatus();
  }
  if (absl::IsResourceExhausted(status)) {
    last_answer_at_ = clock_.Monotonic();
    HoldBack(partition, StrCat("partition ", partition, " takes no more (", ToStd(status.message()),
                               "); waiting for room"));
    return absl::OkStatus();
  }
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    HoldBack(partition, StrCat("partition ", partition, " does not answer; waiting"));
    return absl::OkStatus();
  }
  return absl::Status(status.code(),
                      StrCat("append to ", subjects_[partition], ": ", ToStd(status.message())));
}

absl::Status Appender::Tick() {
  const absl::Duration now = clock_.Monotonic();
  if (now < next_look_at_ || idle()) return absl::OkStatus();
  next_look_at_ = now + kLookInterval;
  if (now - last_answer_at_ > options_.patience) {
    return absl::UnavailableError(
        StrCat("the broker answered no append for ", absl::FormatDuration(options_.patience),
               " — is it reachable, has it a leader? — run the same command again: it goes on from there"));
  }
  for (uint32_t p = 0; p < lanes_.size(); ++p) {
    AppendQueue& queue = lanes_[p].queue;
    if (queue.empty()) continue;
    if (queue.HasOutstanding() && now >= queue.front_sent_at() + options_.ack_deadline) {
      HoldBack(p, StrCat("partition ", p, " did not acknowledge in time; sending again"));
    }
    Send(p);
  }
  return absl::OkStatus();
}

}  // namespace millrace
