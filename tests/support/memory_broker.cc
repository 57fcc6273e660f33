#include "tests/support/memory_broker.h"

#include <algorithm>

#include "common/strings.h"
#include "tests/support/memory_bus.h"

namespace millrace {
namespace {

uint64_t SizeOf(const Message& message) {
  return message.subject.size() + message.header.size() + message.payload.size();
}

std::string_view TakeToken(std::string_view* subject) {
  const size_t dot = subject->find('.');
  const std::string_view token = subject->substr(0, dot);
  *subject = dot == std::string_view::npos ? std::string_view() : subject->substr(dot + 1);
  return token;
}

bool Overlap(const StreamConfig& a, const StreamConfig& b) {
  for (const std::string& one : a.subjects) {
    for (const std::string& other : b.subjects) {
      if (SubjectMatches(one, other) || SubjectMatches(other, one)) return true;
    }
  }
  return false;
}

}  // namespace

bool SubjectMatches(std::string_view filter, std::string_view subject) {
  while (!filter.empty() && !subject.empty()) {
    const std::string_view wanted = TakeToken(&filter);
    if (wanted == ">") return true;
    const std::string_view token = TakeToken(&subject);
    if (wanted != "*" && wanted != token) return false;
  }
  return filter.empty() && subject.empty();
}

StreamInfo MemoryBroker::Stream::Info() const {
  StreamInfo info;
  info.config = config;
  info.created_ns = created_ns;
  info.first_sequence = last_sequence == 0 ? 0 : first_sequence();
  info.last_sequence = last_sequence;
  info.messages = messages.size();
  info.bytes = bytes;
  return info;
}

std::unique_ptr<MemoryBus> MemoryBroker::Connect() { return std::make_unique<MemoryBus>(*this); }

void MemoryBroker::DeleteStream(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(name);
  Changed();
}

void MemoryBroker::RollBack(const std::string& name, uint64_t last_sequence) {
  absl::MutexLock lock(&mutex_);
  Stream* stream = Find(name);
  if (stream == nullptr) return;
  while (!stream->messages.empty() && stream->messages.rbegin()->first > last_sequence) {
    Erase(stream, stream->messages.rbegin()->first);
  }
  stream->last_sequence = std::min(stream->last_sequence, last_sequence);
  std::erase_if(stream->ids, [last_sequence](const auto& id) { return id.second.first > last_sequence; });
  Changed();
}

void MemoryBroker::Purge(const std::string& name, uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (Stream* stream = Find(name)) EraseUpTo(stream, sequence);
}

void MemoryBroker::EraseUpTo(Stream* stream, uint64_t sequence) {
  while (!stream->messages.empty() && stream->messages.begin()->first <= sequence) {
    Erase(stream, stream->messages.begin()->first);
  }
  Changed();
}

void MemoryBroker::Lose(const std::string& name, uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (Stream* stream = Find(name)) Erase(stream, sequence);
  Changed();
}

absl::StatusOr<StreamInfo> MemoryBroker::Create(const StreamConfig& config, bool one_per_subject) {
  if (const Stream* stream = Find(config.name)) {
    const StreamConfig& there = stream->config;
    const bool same = there.subjects == config.subjects && there.description == config.description &&
                      there.max_bytes == config.max_bytes && there.replicas == config.replicas &&
                      there.duplicate_window == config.duplicate_window;
    if (!same) return absl::AlreadyExistsError(StrCat("stream ", config.name, " has other settings"));
    return stream->Info();
  }
  for (const auto& [name, stream] : streams_) {
    if (Overlap(stream.config, config)) {
      return absl::FailedPreconditionError(StrCat("subjects overlap with stream ", name));
    }
  }
  Stream& stream = streams_[config.name];
  stream.config = config;
  stream.created_ns = absl::ToUnixNanos(clock_.Now()) + ++made_;
  stream.one_per_subject = one_per_subject;
  Changed();
  return stream.Info();
}

MemoryBroker::Stream* MemoryBroker::Find(std::string_view name) {
  const auto it = streams_.find(name);
  return it == streams_.end() ? nullptr : &it->second;
}

MemoryBroker::Stream* MemoryBroker::FindBySubject(std::string_view subject) {
  for (auto& [name, stream] : streams_) {
    for (const std::string& filter : stream.config.subjects) {
      if (SubjectMatches(filter, subject)) return &stream;
    }
  }
  return nullptr;
}

absl::StatusOr<uint64_t> MemoryBroker::Store(const AppendRequest& request, bool tombstone) {
  Stream* stream = FindBySubject(request.subject);
  if (stream == nullptr) return absl::UnavailableError("no stream takes this subject now");
  const int64_t now_ns = absl::ToUnixNanos(clock_.Now());
  if (!request.message_id.empty()) {
    const auto it = stream->ids.find(request.message_id);
    const bool recent =
        it != stream->ids.end() &&
        now_ns - it->second.second < absl::ToInt64Nanoseconds(stream->config.duplicate_window);
    if (recent) return it->second.first;
  }
  if (request.expected_last_sequence.value_or(stream->last_sequence) != stream->last_sequence) {
    return absl::FailedPreconditionError(StrCat("wrong last sequence: ", stream->last_sequence));
  }
  Message message;
  message.subject = request.subject;
  message.header = request.header;
  message.payload = request.payload;
  if (request.user_headers != nullptr) message.user_headers = *request.user_headers;
  message.tombstone = tombstone;
  message.time_ns = now_ns;
  const uint64_t size = SizeOf(message);
  if (stream->config.max_bytes >= 0 &&
      stream->bytes + size > static_cast<uint64_t>(stream->config.max_bytes)) {
    return absl::ResourceExhaustedError("maximum bytes exceeded");
  }
  if (stream->one_per_subject || request.replaces_subject) {
    const auto older = std::find_if(stream->messages.begin(), stream->messages.end(), [&](const auto& entry) {
      return entry.second.subject == request.subject;
    });
    if (older != stream->messages.end()) Erase(stream, older->first);
  }
  message.sequence = ++stream->last_sequence;
  stream->bytes += size;
  if (!request.message_id.empty()) stream->ids[std::string(request.message_id)] = {message.sequence, now_ns};
  stream->messages.emplace(message.sequence, std::move(message));
  Changed();
  return stream->last_sequence;
}

void MemoryBroker::Erase(Stream* stream, uint64_t sequence) {
  const auto it = stream->messages.find(sequence);
  if (it == stream->messages.end()) return;
  stream->bytes -= SizeOf(it->second);
  stream->messages.erase(it);
}

}  // namespace millrace
