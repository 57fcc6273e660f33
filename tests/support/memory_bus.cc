#include "tests/support/memory_bus.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/strings.h"

namespace millrace {

// --- faults

void MemoryBus::HoldAppends() {
  absl::MutexLock lock(&broker_.mutex_);
  hold_appends_ = true;
}

void MemoryBus::ReleaseAppends(size_t count) {
  absl::MutexLock lock(&broker_.mutex_);
  for (; count > 0 && !held_appends_.empty(); --count) {
    Arrive(held_appends_.front());
    held_appends_.pop_front();
  }
  if (held_appends_.empty()) hold_appends_ = false;
}

void MemoryBus::DropHeldAppends() {
  absl::MutexLock lock(&broker_.mutex_);
  held_appends_.clear();
  hold_appends_ = false;
}

size_t MemoryBus::held_appends() {
  absl::MutexLock lock(&broker_.mutex_);
  return held_appends_.size();
}

void MemoryBus::HoldAcks() {
  absl::MutexLock lock(&broker_.mutex_);
  hold_acks_ = true;
}

void MemoryBus::ReleaseAcks(size_t count) {
  absl::MutexLock lock(&broker_.mutex_);
  for (; count > 0 && !held_acks_.empty(); --count) {
    ready_.push_back(std::move(held_acks_.front()));
    held_acks_.pop_front();
  }
  if (held_acks_.empty()) hold_acks_ = false;
  broker_.Changed();
}

void MemoryBus::DropHeldAcks() {
  absl::MutexLock lock(&broker_.mutex_);
  held_acks_.clear();
  hold_acks_ = false;
}

size_t MemoryBus::held_acks() {
  absl::MutexLock lock(&broker_.mutex_);
  return held_acks_.size();
}

void MemoryBus::RefuseAppends(absl::Status status) {
  absl::MutexLock lock(&broker_.mutex_);
  refusal_ = std::move(status);
}

void MemoryBus::FailControl(absl::Status status) {
  absl::MutexLock lock(&broker_.mutex_);
  control_failure_ = std::move(status);
}

void MemoryBus::LoseNextControlAnswer() {
  absl::MutexLock lock(&broker_.mutex_);
  lose_next_answer_ = true;
}

void MemoryBus::Disconnect() {
  absl::MutexLock lock(&broker_.mutex_);
  if (!std::exchange(connected_, false)) return;
  held_appends_.clear();
  held_acks_.clear();
  ready_.emplace_back().type = BusEvent::Type::kDisconnected;
  broker_.Changed();
}

void MemoryBus::Reconnect() {
  absl::MutexLock lock(&broker_.mutex_);
  if (std::exchange(connected_, true)) return;
  ready_.emplace_back().type = BusEvent::Type::kReconnected;
  broker_.Changed();
}

// --- data plane

ReaderId MemoryBus::OpenReader(const ReaderOptions& options) {
  absl::MutexLock lock(&broker_.mutex_);
  Reader& reader = readers_[next_reader_];
  reader.options = options;
  reader.next_sequence = std::max<uint64_t>(1, options.start_sequence);
  return next_reader_++;
}

void MemoryBus::CloseReader(ReaderId reader) {
  absl::MutexLock lock(&broker_.mutex_);
  readers_.erase(reader);
}

void MemoryBus::Grant(ReaderId id, uint32_t messages, uint64_t bytes) {
  absl::MutexLock lock(&broker_.mutex_);
  const auto it = readers_.find(id);
  if (it == readers_.end()) return;
  Reader& reader = it->second;
  reader.undealt_messages -= std::min<uint64_t>(reader.undealt_messages, messages);
  reader.undealt_bytes -= std::min(reader.undealt_bytes, bytes);
  broker_.Changed();
}

absl::Status MemoryBus::Append(const AppendRequest& request) {
  absl::MutexLock lock(&broker_.mutex_);
  if (!connected_) return absl::UnavailableError("not connected");
  if (request.payload.size() > MemoryBroker::kMaxPayloadBytes) {
    return absl::InvalidArgumentError("larger than the server takes");
  }
  SentAppend sent{std::string(request.subject),
                  std::string(request.header),
                  std::string(request.payload),
                  std::string(request.message_id),
                  request.expected_last_sequence,
                  request.cookie,
                  request.user_headers == nullptr ? UserHeaders() : *request.user_headers};
  if (hold_appends_) {
    held_appends_.push_back(std::move(sent));
  } else {
    Arrive(sent);
  }
  return absl::OkStatus();
}

void MemoryBus::Arrive(const SentAppend& append) {
  BusEvent event;
  event.type = BusEvent::Type::kAppended;
  event.cookie = append.cookie;
  if (!refusal_.ok()) {
    event.status = refusal_;
  } else {
    const absl::StatusOr<uint64_t> sequence =
        broker_.Store({append.subject, append.header, append.payload, append.expected_last_sequence,
                       append.message_id, append.cookie, /*replaces_subject=*/false, &append.user_headers},
                      /*tombstone=*/false);
    event.status = sequence.status();
    if (sequence.ok()) event.sequence = *sequence;
  }
  (hold_acks_ ? held_acks_ : ready_).push_back(std::move(event));
  broker_.Changed();
}

size_t MemoryBus::Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) {
  const size_t before = events->size();
  const absl::Time end = absl::Now() + wait;
  absl::MutexLock lock(&broker_.mutex_);
  for (;;) {
    if (Collect(before + max_events, events) || std::exchange(woken_, false)) break;
    if (wait <= absl::ZeroDuration() || broker_.changed_.WaitWithDeadline(&broker_.mutex_, end)) break;
  }
  return events->size() - before;
}

bool MemoryBus::Collect(size_t max_events, std::vector<BusEvent>* events) {
  const size_t before = events->size();
  while (!ready_.empty() && events->size() < max_events) {
    events->push_back(std::move(ready_.front()));
    ready_.pop_front();
  }
  for (auto it = readers_.begin(); connected_ && it != readers_.end() && events->size() < max_events;) {
    it = Read(it->first, &it->second, max_events, events) ? std::next(it) : readers_.erase(it);
  }
  return events->size() > before;
}

absl::Status MemoryBus::CheckPosition(Reader* reader, const MemoryBroker::Stream* stream) {
  const std::string& name = reader->options.stream;
  const uint64_t next = reader->next_sequence;
  if (stream == nullptr) return absl::NotFoundError("stream not found");
  if (reader->created_ns != 0 && reader->created_ns != stream->created_ns) {
    return absl::DataLossError(StrCat("stream ", name, " was deleted and made anew"));
  }
  reader->created_ns = stream->created_ns;
  if (next > stream->last_sequence + 1) {
    return absl::DataLossError(
        StrCat("stream ", name, " ends at ", stream->last_sequence, ", behind sequence ", next));
  }
  const auto following = stream->messages.lower_bound(next);
  const uint64_t found = following == stream->messages.end() ? stream->last_sequence + 1 : following->first;
  if (!reader->options.allow_gaps && found != next) {
    return absl::DataLossError(StrCat("stream ", name, " has no sequence ", next, ": the next is ", found));
  }
  return absl::OkStatus();
}

bool MemoryBus::Read(ReaderId id, Reader* reader, size_t max_events, std::vector<BusEvent>* events) {
  const ReaderOptions& options = reader->options;
  const MemoryBroker::Stream* stream = broker_.Find(options.stream);
  if (stream == nullptr && options.await_stream) return true;
  while (events->size() < max_events) {
    if (absl::Status status = CheckPosition(reader, stream); !status.ok()) {
      BusEvent& event = events->emplace_back();
      event.type = BusEvent::Type::kReaderError;
      event.reader = id;
      event.status = std::move(status);
      return false;
    }
    const auto it = stream->messages.lower_bound(reader->next_sequence);
    if (it == stream->messages.end()) return true;
    if (!options.filter_subject.empty() && !SubjectMatches(options.filter_subject, it->second.subject)) {
      reader->next_sequence = it->first + 1;
      continue;
    }
    const uint64_t bytes = options.headers_only ? 0 : it->second.payload.size();
    const bool fits = reader->undealt_messages < options.window_messages &&
                      reader->undealt_bytes + bytes <= options.window_bytes;
    // Alone, a message may be larger than the window.
    if (!fits && reader->undealt_messages > 0) return true;
    BusEvent& event = events->emplace_back();
    event.type = BusEvent::Type::kMessage;
    event.reader = id;
    event.message = it->second;
    if (options.headers_only) event.message.payload.clear();
    if (!options.user_headers) event.message.user_headers.clear();
    reader->next_sequence = it->first + 1;
    ++reader->undealt_messages;
    reader->undealt_bytes += bytes;
  }
  return true;
}

void MemoryBus::Wake() {
  absl::MutexLock lock(&broker_.mutex_);
  woken_ = true;
  broker_.Changed();
}

}  // namespace millrace
