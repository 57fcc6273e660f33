// The way between processes and the broker: what is sent takes its time, and may be held, lost, doubled or
// overtaken; what a dead process sent may still arrive. Behind it stands the MemoryBroker of the unit tests.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "tests/simulation/kernel.h"
#include "tests/simulation/threads.h"
#include "tests/support/memory_broker.h"
#include "tests/support/memory_bus.h"

namespace millrace::sim {

class SimBus;

// An append that owns its bytes.
struct Packet {
  std::string subject, header, payload, message_id;
  std::optional<uint64_t> expected_last_sequence;
  uint64_t cookie = 0;
  absl::Duration arrives_at;

  AppendRequest Request() const {
    return {subject, header, payload, expected_last_sequence, message_id, cookie};
  }
};

class Network {
 public:
  explicit Network(Kernel& kernel);
  ~Network();

  // A connection of `process`. Its blocking calls let others run meanwhile, but for those of a connection
  // that is used under a lock (`blocks` false).
  enum class Style { kYields, kAtomic };
  std::unique_ptr<Bus> Connect(Process& process, Style style = Style::kYields);

  // The connections of `process` break; what was on the way may still arrive. They come back after `away`.
  void Reset(Process& process, absl::Duration away);
  // All that the broker has for a process that was stopped waits in its connections' buffers.
  void FillBuffers(Process& process);
  // The broker is away for everybody: no message is lost that it had acknowledged.
  void RestartBroker(absl::Duration away);

  Kernel& kernel() { return kernel_; }
  MemoryBroker& broker() { return broker_; }
  // Direct, without any way in between: for whoever judges the run.
  MemoryBus& direct() { return *direct_; }
  // Something was stored in `stream`: whoever follows it is told.
  void Changed(const std::string& stream);
  void Note(const Packet& packet, const absl::StatusOr<uint64_t>& outcome, const Process& from);
  // Some of `packets`, in order, arrive later, though their sender is gone.
  void LetGoLate(std::deque<Packet> packets);
  void LetGoLate(std::function<void()> request);

  struct Counts {
    uint64_t appends = 0, refused = 0, late = 0, lost = 0, doubled = 0, cut_calls = 0;
  };
  Counts& counts() { return counts_; }

 private:
  friend class SimBus;

  Kernel& kernel_;
  SimClock clock_;
  MemoryBroker broker_;
  std::unique_ptr<MemoryBus> direct_;
  std::vector<SimBus*> buses_;
  Counts counts_;
};

// The stream that takes messages of `subject`, by the project's own names.
std::string StreamOfSubject(std::string_view subject);

}  // namespace millrace::sim
