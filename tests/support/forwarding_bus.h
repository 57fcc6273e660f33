// A link that hands every call on to another: tests override what they want to go differently.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/bus/bus.h"

namespace millrace {

class ForwardingBus : public Bus {
 public:
  explicit ForwardingBus(Bus& bus) : bus_(bus) {}

  absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& config) override {
    return bus_.CreateStream(config);
  }
  absl::StatusOr<StreamInfo> GetStream(const std::string& name) override { return bus_.GetStream(name); }
  absl::Status DeleteStream(const std::string& name) override { return bus_.DeleteStream(name); }
  absl::Status PurgeStream(const std::string& name, uint64_t up_to) override {
    return bus_.PurgeStream(name, up_to);
  }
  absl::StatusOr<std::vector<std::string>> ListStreams() override { return bus_.ListStreams(); }
  absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence) override {
    return bus_.GetMessage(stream, sequence);
  }
  absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject) override {
    return bus_.GetLastMessage(stream, subject);
  }
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) override {
    return bus_.AppendAndWait(request);
  }
  absl::Status CreateBucket(const std::string& bucket, int replicas) override {
    return bus_.CreateBucket(bucket, replicas);
  }
  absl::StatusOr<KeyValue> GetKey(const std::string& bucket, const std::string& key) override {
    return bus_.GetKey(bucket, key);
  }
  absl::StatusOr<std::string> Request(const std::string& subject, std::string_view payload,
                                      absl::Duration timeout) override {
    return bus_.Request(subject, payload, timeout);
  }
  absl::Status Serve(const std::string& subject, std::function<void(Incoming)> handler) override {
    return bus_.Serve(subject, std::move(handler));
  }
  absl::Status Reply(const std::string& reply_to, std::string_view payload) override {
    return bus_.Reply(reply_to, payload);
  }
  absl::StatusOr<ServerInfo> Server() override { return bus_.Server(); }
  ReaderId OpenReader(const ReaderOptions& options) override { return bus_.OpenReader(options); }
  void CloseReader(ReaderId reader) override { bus_.CloseReader(reader); }
  void Grant(ReaderId reader, uint32_t messages, uint64_t bytes) override {
    bus_.Grant(reader, messages, bytes);
  }
  absl::Status Append(const AppendRequest& request) override { return bus_.Append(request); }
  void Flush() override { bus_.Flush(); }
  size_t Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) override {
    return bus_.Poll(wait, max_events, events);
  }
  void Wake() override { bus_.Wake(); }
  absl::StatusOr<uint64_t> CreateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value) override {
    return bus_.CreateKey(bucket, key, value);
  }
  absl::StatusOr<uint64_t> PutKey(const std::string& bucket, const std::string& key,
                                  std::string_view value) override {
    return bus_.PutKey(bucket, key, value);
  }
  absl::StatusOr<uint64_t> UpdateKey(const std::string& bucket, const std::string& key,
                                     std::string_view value, uint64_t revision) override {
    return bus_.UpdateKey(bucket, key, value, revision);
  }
  absl::Status DeleteKey(const std::string& bucket, const std::string& key) override {
    return bus_.DeleteKey(bucket, key);
  }

 protected:
  Bus& bus_;
};

}  // namespace millrace
