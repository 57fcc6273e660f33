// MemoryBus's control plane: streams, keys, questions.
#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/strings.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

std::string StreamOf(const std::string& bucket) { return StrCat("KV_", bucket); }
std::string SubjectOf(const std::string& bucket, const std::string& key) {
  return StrCat("$KV.", bucket, ".", key);
}

}  // namespace

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

absl::Status MemoryBus::PurgeStream(const std::string& name, uint64_t up_to) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  MemoryBroker::Stream* stream = broker_.Find(name);
  if (stream == nullptr) return absl::NotFoundError("stream not found");
  broker_.EraseUpTo(stream, up_to);
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

absl::StatusOr<uint64_t> MemoryBus::UpdateKey(const std::string& bucket, const std::string& key,
                                              std::string_view value, uint64_t revision) {
  absl::MutexLock lock(&broker_.mutex_);
  if (absl::Status status = ControlStatus(); !status.ok()) return status;
  const std::string subject = SubjectOf(bucket, key);
  const Message* there = FindLast(StreamOf(bucket), subject);
  if ((there == nullptr ? 0 : there->sequence) != revision)
    return absl::AbortedError(StrCat("somebody else has changed key ", key));
  AppendRequest request;
  request.subject = subject;
  request.payload = value;
  absl::StatusOr<uint64_t> made = StoreAndAnswer(request, /*tombstone=*/false);
  if (made.ok()) return made;
  there = FindLast(StreamOf(bucket), subject);
  if (there != nullptr && !there->tombstone && there->payload == value) return there->sequence;
  return made;
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
  if (handler == nullptr) {
    broker_.services_.erase(subject);
  } else {
    broker_.services_[subject] = std::move(handler);
  }
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

}  // namespace millrace
