// What the benchmark's tools share: their flags, the connection, their one line of JSON, and the processor
// time of the processes they watch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/bus/nats_bus.h"
#include "common/flags.h"
#include "nlohmann/json.hpp"

namespace millrace::bench {

using Json = nlohmann::ordered_json;

inline constexpr size_t kEventsAPoll = 2048;
inline constexpr absl::Duration kPollWait = absl::Milliseconds(20);
inline constexpr absl::Duration kLookInterval = absl::Milliseconds(100);  // at streams that others fill
inline constexpr absl::Duration kPatience = absl::Minutes(20);            // with a measurement as a whole

// Each tool reads its own flags from `arguments` and prints one JSON document when it is done.
absl::Status RunFill(const std::vector<std::string>& arguments);
absl::Status RunEcho(const std::vector<std::string>& arguments);
absl::Status RunWatch(const std::vector<std::string>& arguments);
absl::Status RunCheck(const std::vector<std::string>& arguments);
absl::Status RunLatency(const std::vector<std::string>& arguments);
absl::Status RunPools(const std::vector<std::string>& arguments);

// A tool's flags: --nats and those it adds.
class ToolFlags {
 public:
  ToolFlags(const std::string& tool, const std::string& what);
  Flags& flags() { return flags_; }
  // CANCELLED after --help.
  absl::Status Parse(const std::vector<std::string>& arguments);
  absl::StatusOr<std::unique_ptr<Bus>> Connect() const;
  // For measuring latency: nothing waits in the client for company.
  absl::StatusOr<std::unique_ptr<Bus>> ConnectToSendAtOnce() const;

 private:
  NatsOptions Nats() const;

  Flags flags_;
  CommonOptions common_;
};

void Print(const Json& document);

// User and system time of processes, in seconds, from /proc; a process that is gone counts nothing.
class CpuMeter {
 public:
  // `pids`: as "12,34"; this process is counted too if `with_self`.
  CpuMeter(const std::string& pids, bool with_self);  // NOLINT: the name of the flag is its meaning
  void Start();
  // Since Start, a number for each process and their sum.
  Json Stop() const;

 private:
  std::vector<int64_t> pids_;
  std::vector<double> at_start_;
};

// The broker's times of the messages with records in the streams that somebody fills, and how far they have
// come.
struct StreamSpan {
  int64_t first_ns = 0;
  int64_t last_ns = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
};
// From message `first` of each stream to its last. NOT_FOUND when one has none.
absl::StatusOr<StreamSpan> SpanOf(Bus& bus, const std::vector<std::string>& streams, uint64_t first);

}  // namespace millrace::bench
