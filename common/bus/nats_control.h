// The control plane over JetStream's API, by JSON request and reply: streams and messages (nats_control.cc),
// buckets and keys (nats_keys.cc). Blocking, each call for at most kControlDeadline. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/bus/nats_connection.h"
#include "common/bus/streams_made.h"
#include "common/clock.h"
#include "nlohmann/json.hpp"

namespace millrace {

class NatsControl {
 public:
  NatsControl(NatsConnection& connection, Clock& clock) : connection_(connection), clock_(clock) {}

  // FAILED_PRECONDITION when JetStream is not enabled.
  absl::Status CheckJetStream();
  absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& config);
  // NOT_FOUND also while the server is just making it.
  absl::StatusOr<StreamInfo> GetStream(const std::string& name);
  absl::Status DeleteStream(const std::string& name);
  absl::Status PurgeStream(const std::string& name, uint64_t up_to);
  absl::StatusOr<std::vector<std::string>> ListStreams();
  absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence);
  absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject);
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request);

  absl::Status CreateBucket(const std::string& bucket, int replicas);
  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value);
  absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key, std::string_view value);
  absl::StatusOr<uint64_t> UpdateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value, uint64_t revision);
  absl::StatusOr<KeyValue> GetKey(const std::string& bucket, const std::string& key);
  absl::Status DeleteKey(const std::string& bucket, const std::string& key);

 private:
  // $JS.API.<call>
  absl::StatusOr<nlohmann::json> Call(const std::string& call, const nlohmann::json& request);
  absl::StatusOr<nlohmann::json> Make(const nlohmann::json& config);  // make_stream.h
  // The message, and its raw header block.
  absl::StatusOr<Message> ReadMessage(const std::string& stream, const nlohmann::json& which,
                                      std::string* block);
  absl::StatusOr<uint64_t> SendAndWait(natsMsg* msg);

  // As the bucket says, a deleted key too.
  absl::StatusOr<KeyValue> ReadKey(const std::string& bucket, const std::string& key);
  absl::StatusOr<uint64_t> MakeKey(const std::string& bucket, const std::string& key, std::string_view value,
                                   uint64_t expected_revision);

  NatsConnection& connection_;
  Clock& clock_;
  StreamsMade made_;
};

}  // namespace millrace
