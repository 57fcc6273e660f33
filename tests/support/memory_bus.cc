#include "tests/support/memory_bus.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/strings.h"

namespace millrace {
namespace {

std::string StreamOf(const std::string& bucket) { return StrCat("KV_", bucket); }
std::string SubjectOf(const std::string& bucket, const std::string& key) {
  return StrCat("$KV.", bucket, ".", key);
}

}  // namespace

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

// --- control plane

absl::Status MemoryBus::ControlStatus() {
  if (!connected_) return absl::UnavailableError("not connected");
  return control_failure_;
}

absl::StatusOr<StreamInfo> MemoryBus::CreateStream(const StreamConfig& config) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  return broker_.Create(config, /*one_per_subject=*/false);
}

absl::StatusOr<StreamInfo> MemoryBus::GetStream(const std::string& name) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  const MemoryBroker::Stream* stream = broker_.Find(name);
  if (stream == nullptr) return absl::NotFoundError("stream not found");
  return stream->Info();
}

absl::Status MemoryBus::DeleteStream(const std::string& name) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  if (broker_.streams_.erase(name) == 0) return absl::NotFoundError("stream not found");
  broker_.Changed();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryBus::ListStreams() {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  std::vector<std::string> names;
  for (const auto& [name, stream] : broker_.streams_) names.push_back(name);
  return names;
}

absl::StatusOr<Message> MemoryBus::GetMessage(const std::string& stream, uint64_t sequence) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  const MemoryBroker::Stream* found = broker_.Find(stream);
  if (found == nullptr) return absl::NotFoundError("stream not found");
  const auto it = found->messages.find(sequence);
  if (it == found->messages.end()) return absl::NotFoundError("no message found");
  return it->second;
}

const Message* MemoryBus::FindLast(const std::string& stream, std::string_view subject) {
  const MemoryBroker::Stream* found = broker_.Find(stream);
  if (found == nullptr) return nullptr;
  const auto it =
      std::find_if(found->messages.rbegin(), found->messages.rend(),
                   [subject](const auto& entry) { return SubjectMatches(subject, entry.second.subject); });
  return it == found->messages.rend() ? nullptr : &it->second;
}

absl::StatusOr<Message> MemoryBus::GetLastMessage(const std::string& stream, const std::string& subject) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  const Message* message = FindLast(stream, subject);
  if (message == nullptr) return absl::NotFoundError("no message found");
  return *message;
}

absl::StatusOr<uint64_t> MemoryBus::StoreAndAnswer(const AppendRequest& request, bool tombstone) {
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  if (request.payload.size() > MemoryBroker::kMaxPayloadBytes) {
    return absl::InvalidArgumentError("larger than the server takes");
  }
  absl::StatusOr<uint64_t> sequence = broker_.Store(request, tombstone);
  if (std::exchange(lose_next_answer_, false)) return absl::DeadlineExceededError("no answer");
  return sequence;
}

absl::StatusOr<uint64_t> MemoryBus::AppendAndWait(const AppendRequest& request) {
  absl::MutexLock lock(&broker_.mutex_);
  return StoreAndAnswer(request, /*tombstone=*/false);
}

absl::Status MemoryBus::CreateBucket(const std::string& bucket, int replicas) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  StreamConfig config;
  config.name = StreamOf(bucket);
  config.subjects = {SubjectOf(bucket, ">")};
  config.replicas = replicas;
  const absl::Status status = broker_.Create(config, /*one_per_subject=*/true).status();
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::StatusOr<uint64_t> MemoryBus::CreateKey(const std::string& bucket, const std::string& key,
                                              std::string_view value) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  const std::string subject = SubjectOf(bucket, key);
  const Message* there = FindLast(StreamOf(bucket), subject);
  if (there != nullptr && !there->tombstone)
    return absl::AlreadyExistsError(StrCat("key ", key, " is there already"));
  AppendRequest request;
  request.subject = subject;
  request.payload = value;
  absl::StatusOr<uint64_t> made = StoreAndAnswer(request, /*tombstone=*/false);
  if (made.ok()) return made;
  // As the contract says: an ambiguous answer is followed by a look at the key.
  there = FindLast(StreamOf(bucket), subject);
  if (there != nullptr && !there->tombstone && there->payload == value) return there->sequence;
  return made;
}

absl::StatusOr<uint64_t> MemoryBus::PutKey(const std::string& bucket, const std::string& key,
                                           std::string_view value) {
  absl::MutexLock lock(&broker_.mutex_);
  const std::string subject = SubjectOf(bucket, key);
  AppendRequest request;
  request.subject = subject;
  request.payload = value;
  return StoreAndAnswer(request, /*tombstone=*/false);
}

absl::StatusOr<KeyValue> MemoryBus::GetKey(const std::string& bucket, const std::string& key) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  const Message* message = FindLast(StreamOf(bucket), SubjectOf(bucket, key));
  if (message == nullptr || message->tombstone) return absl::NotFoundError(StrCat("no key ", key));
  return KeyValue{key, message->payload, message->sequence, false, message->time_ns};
}

absl::Status MemoryBus::DeleteKey(const std::string& bucket, const std::string& key) {
  absl::MutexLock lock(&broker_.mutex_);
  const std::string subject = SubjectOf(bucket, key);
  AppendRequest request;
  request.subject = subject;
  return StoreAndAnswer(request, /*tombstone=*/true).status();
}

absl::StatusOr<std::string> MemoryBus::Request(const std::string& subject, std::string_view payload,
                                               absl::Duration timeout) {
  std::function<void(Incoming)> handler;
  std::string reply_to;
  {
    absl::MutexLock lock(&broker_.mutex_);
    if (absl::Status status = ControlStatus(); !status.ok()) return status;
    const auto it = broker_.services_.find(subject);
    if (it == broker_.services_.end()) return absl::UnavailableError(StrCat("nobody serves ", subject));
    handler = it->second;
    reply_to = StrCat("_INBOX.memory.", ++broker_.asked_);
  }
  handler({subject, std::string(payload), reply_to});
  const absl::Time end = absl::Now() + timeout;
  absl::MutexLock lock(&broker_.mutex_);
  for (;;) {
    if (auto answer = broker_.answers_.extract(reply_to)) return std::move(answer.mapped());
    if (broker_.changed_.WaitWithDeadline(&broker_.mutex_, end)) {
      return absl::DeadlineExceededError(StrCat("no answer from ", subject));
    }
  }
}

absl::Status MemoryBus::Serve(const std::string& subject, std::function<void(Incoming)> handler) {
  absl::MutexLock lock(&broker_.mutex_);
  broker_.services_[subject] = std::move(handler);
  return absl::OkStatus();
}

absl::Status MemoryBus::Reply(const std::string& reply_to, std::string_view payload) {
  absl::MutexLock lock(&broker_.mutex_);
  if (!connected_) return absl::UnavailableError("not connected");
  broker_.answers_[reply_to] = std::string(payload);
  broker_.Changed();
  return absl::OkStatus();
}

absl::StatusOr<ServerInfo> MemoryBus::Server() {
  return ServerInfo{"0.0.0", "memory", MemoryBroker::kMaxPayloadBytes, true};
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
  SentAppend sent{std::string(request.subject),   std::string(request.header),
                  std::string(request.payload),   std::string(request.message_id),
                  request.expected_last_sequence, request.cookie};
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
                       append.message_id, append.cookie},
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
