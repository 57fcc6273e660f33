// The broker's half of MemoryBus: streams, kept in maps, with the rules of JetStream that Millrace relies on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/clock.h"

namespace millrace {

class MemoryBus;

// `*` is one token, a last `>` one or more.
bool SubjectMatches(std::string_view filter, std::string_view subject);

// Thread-safe. Outlives its clients.
class MemoryBroker {
 public:
  static constexpr size_t kMaxPayloadBytes = 1 << 20;

  struct Stream {
    StreamConfig config;
    int64_t created_ns = 0;
    bool one_per_subject = false;  // a bucket
    uint64_t last_sequence = 0;
    uint64_t bytes = 0;
    std::map<uint64_t, Message> messages;
    std::map<std::string, std::pair<uint64_t, int64_t>, std::less<>> ids;  // Nats-Msg-Id: sequence and time

    uint64_t first_sequence() const { return messages.empty() ? last_sequence + 1 : messages.begin()->first; }
    StreamInfo Info() const;
  };

  // The clock gives the messages' timestamps.
  explicit MemoryBroker(Clock& clock) : clock_(clock) {}
  std::unique_ptr<MemoryBus> Connect();

  // What happens to a broker on a bad day; readers see it with their next Poll.
  void DeleteStream(const std::string& name);
  // As after a power cut: everything behind `last_sequence` was never there.
  void RollBack(const std::string& name, uint64_t last_sequence);
  // Without `sequence` and what lies before it.
  void Purge(const std::string& name, uint64_t sequence);
  // Without this message alone.
  void Lose(const std::string& name, uint64_t sequence);

 private:
  friend class MemoryBus;

  absl::StatusOr<StreamInfo> Create(const StreamConfig& config, bool one_per_subject)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Stream* Find(std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Stream* FindBySubject(std::string_view subject) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Stores it, or says why not. `tombstone` as in Message.
  absl::StatusOr<uint64_t> Store(const AppendRequest& request, bool tombstone)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(Stream* stream, uint64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EraseUpTo(Stream* stream, uint64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { changed_.SignalAll(); }

  Clock& clock_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  int64_t made_ ABSL_GUARDED_BY(mutex_) = 0;  // streams ever made: no two have one identity
  std::map<std::string, Stream, std::less<>> streams_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::function<void(Bus::Incoming)>, std::less<>> services_ ABSL_GUARDED_BY(mutex_);
  uint64_t asked_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::string, std::less<>> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace
