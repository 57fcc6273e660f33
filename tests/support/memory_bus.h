// A Bus without a server: the same contract in memory, one MemoryBroker and any number of clients, each with
// faults to order. Deterministic: what Poll returns follows from the order of calls alone. Poll waits in real
// time, so a single-threaded test polls with a wait of zero.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bus/bus.h"
#include "tests/support/memory_broker.h"

namespace millrace {

class MemoryBus final : public Bus {
 public:
  explicit MemoryBus(MemoryBroker& broker) : broker_(broker) {}

  // --- faults of this client's link
  // Appends (or their acks) stay on the way until they are let go, in order, or lost.
  void HoldAppends();
  void ReleaseAppends(size_t count = SIZE_MAX);
  void DropHeldAppends();
  size_t held_appends();
  void HoldAcks();
  void ReleaseAcks(size_t count = SIZE_MAX);
  void DropHeldAcks();
  size_t held_acks();
  // Every append of the data plane is answered with `status`, until it is OK again.
  void RefuseAppends(absl::Status status);
  // Every call of the control plane answers `status`, and nothing happens, until it is OK again.
  void FailControl(absl::Status status);
  // The next append of the control plane (AppendAndWait, a key) is stored, and its answer lost.
  void LoseNextControlAnswer();
  // Until Reconnect: readers get nothing, appends are not sent, held appends and acks are lost.
  void Disconnect();
  void Reconnect();

  // --- Bus
  absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& config) override;
  absl::StatusOr<StreamInfo> GetStream(const std::string& name) override;
  absl::Status DeleteStream(const std::string& name) override;
  absl::Status PurgeStream(const std::string& name, uint64_t up_to) override;
  absl::StatusOr<std::vector<std::string>> ListStreams() override;
  absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence) override;
  absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject) override;
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) override;
  absl::Status CreateBucket(const std::string& bucket, int replicas = 1) override;
  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value) override;
  absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key,
                                  std::string_view value) override;
  absl::StatusOr<uint64_t> UpdateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value, uint64_t revision) override;
  absl::StatusOr<KeyValue> GetKey(const std::string& bucket, const std::string& key) override;
  absl::Status DeleteKey(const std::string& bucket, const std::string& key) override;
  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout) override;
  absl::Status Serve(const std::string& subject, std::function<void(Incoming)> handler) override;
  absl::Status Reply(const std::string& reply_to, std::string_view payload) override;
  absl::StatusOr<ServerInfo> Server() override;
  ReaderId OpenReader(const ReaderOptions& options) override;
  void CloseReader(ReaderId reader) override;
  void Grant(ReaderId reader, uint32_t messages, uint64_t bytes) override;
  absl::Status Append(const AppendRequest& request) override;
  void Flush() override {}
  size_t Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) override;
  void Wake() override;

 private:
  struct Reader {
    ReaderOptions options;
    uint64_t next_sequence = 1;
    int64_t created_ns = 0;  // of the stream that it reads, once found
    uint64_t undealt_messages = 0;
    uint64_t undealt_bytes = 0;
  };
  struct SentAppend {  // an AppendRequest that owns its bytes
    std::string subject, header, payload, message_id;
    std::optional<uint64_t> expected_last_sequence;
    uint64_t cookie = 0;
    UserHeaders user_headers;
  };

  absl::Status ControlStatus() ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_.mutex_);
  absl::StatusOr<uint64_t> StoreAndAnswer(const AppendRequest& request, bool tombstone)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_.mutex_);
  const Message* FindLast(const std::string& stream, std::string_view subject)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_.mutex_);
  void Arrive(const SentAppend& append) ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_.mutex_);
  bool Collect(size_t max_events, std::vector<BusEvent>* events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_.mutex_);
  // False when the reader failed: `events` says why.
  bool Read(ReaderId id, Reader* reader, size_t max_events, std::vector<BusEvent>* events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_.mutex_);
  absl::Status CheckPosition(Reader* reader, const MemoryBroker::Stream* stream);

  MemoryBroker& broker_;
  std::map<ReaderId, Reader> readers_ ABSL_GUARDED_BY(broker_.mutex_);
  ReaderId next_reader_ ABSL_GUARDED_BY(broker_.mutex_) = 1;
  std::deque<BusEvent> ready_ ABSL_GUARDED_BY(broker_.mutex_);
  std::deque<SentAppend> held_appends_ ABSL_GUARDED_BY(broker_.mutex_);
  std::deque<BusEvent> held_acks_ ABSL_GUARDED_BY(broker_.mutex_);
  bool hold_appends_ ABSL_GUARDED_BY(broker_.mutex_) = false;
  bool hold_acks_ ABSL_GUARDED_BY(broker_.mutex_) = false;
  bool connected_ ABSL_GUARDED_BY(broker_.mutex_) = true;
  bool woken_ ABSL_GUARDED_BY(broker_.mutex_) = false;
  bool lose_next_answer_ ABSL_GUARDED_BY(broker_.mutex_) = false;
  absl::Status refusal_ ABSL_GUARDED_BY(broker_.mutex_);
  absl::Status control_failure_ ABSL_GUARDED_BY(broker_.mutex_);
};

}  // namespace millrace
