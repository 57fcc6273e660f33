// A connection in the simulation, with the contract of Bus.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/network.h"

namespace millrace::sim {

class SimBus final : public Bus {
 public:
  SimBus(Network& network, Process& process, Network::Style style);
  ~SimBus() override;

  // --- control plane
  absl::StatusOr<StreamInfo> CreateStream(const StreamConfig& config) override;
  absl::StatusOr<StreamInfo> GetStream(const std::string& name) override;
  absl::Status DeleteStream(const std::string& name) override;
  absl::Status PurgeStream(const std::string& name, uint64_t up_to) override;
  absl::StatusOr<std::vector<std::string>> ListStreams() override;
  absl::StatusOr<Message> GetMessage(const std::string& stream, uint64_t sequence) override;
  absl::StatusOr<Message> GetLastMessage(const std::string& stream, const std::string& subject) override;
  absl::StatusOr<uint64_t> AppendAndWait(const AppendRequest& request) override;
  absl::Status CreateBucket(const std::string& bucket, int replicas) override;
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
  absl::StatusOr<ServerInfo> Server() override { return wire_->inner->Server(); }

  // --- data plane
  ReaderId OpenReader(const ReaderOptions& options) override;
  void CloseReader(ReaderId reader) override;
  void Grant(ReaderId reader, uint32_t messages, uint64_t bytes) override;
  absl::Status Append(const AppendRequest& request) override;
  void Flush() override;  // a good place for others to have their turn
  size_t Poll(absl::Duration wait, size_t max_events, std::vector<BusEvent>* events) override;
  void Wake() override;

  // --- for the network
  bool Follows(const std::string& stream) const;
  void Tell() { network_.kernel().Notify(told_); }
  const Process& process() const { return process_; }
  void Disconnect();
  void Reconnect();
  void FillBuffer();

 private:
  struct Arriving {
    BusEvent event;
    absl::Duration at;
  };
  // Shared with the events that bring its packets to the broker.
  struct Wire {
    std::unique_ptr<MemoryBus> inner;
    std::deque<Packet> packets;  // on their way out
    std::set<uint64_t> lost_acks;
    bool connected = true;
    SimBus* bus = nullptr;  // null: gone
  };

  template <typename Act>
  auto Control(const std::string& stream, Act act) -> decltype(act());
  template <typename Act>
  auto Write(const std::string& stream, Act act) -> decltype(act());
  bool Gone() const { return process_.dead || process_.dying; }
  void Travel();
  bool AwaitPassage(const bool& cut, absl::Duration deadline);
  void ScheduleArrival(absl::Duration at);
  static void Arrive(const std::shared_ptr<Wire>& wire, Network& network, Process& process);
  void Pump();
  void Spoil(Packet packet);

  Network& network_;
  Kernel& kernel_;
  Process& process_;
  const Network::Style style_;
  std::shared_ptr<Wire> wire_;
  std::map<ReaderId, std::string> followed_;
  std::deque<Arriving> arriving_;  // events on their way in
  absl::Duration last_out_, last_in_;
  WaitPoint told_;
  bool woken_ = false;
};

}  // namespace millrace::sim
