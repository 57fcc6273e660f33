// Is this NATS, disk, clock and process fit for what is promised? Facts in, findings out: the judging is
// pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "nlohmann/json.hpp"

namespace millrace {

struct Finding {
  enum class Level { kOk, kWarn, kFail };
  Level level = Level::kOk;
  std::string what;
  std::string why;  // empty when it is ok
  std::string try_this;
};

struct BucketFacts {
  std::string name;
  bool exists = false;
  bool discards_old = false;  // refuses nothing when full: keys could be lost
  bool ages = false;          // keys vanish after a time
  bool in_memory = false;
  int64_t replicas = 0;
};

// What was found out; what is absent could not be.
struct DoctorFacts {
  ServerInfo server;
  std::string connect_error;  // empty: connected
  bool lacks_jetstream = false;
  std::optional<bool> clustered;
  std::optional<int64_t> store_limit_bytes;  // -1: none
  std::optional<uint64_t> store_used_bytes;
  std::optional<absl::Duration> append_time;
  std::string append_error;
  std::optional<absl::Duration> clock_difference;  // the broker's less ours
  std::vector<BucketFacts> buckets;
  std::string data_dir;
  std::optional<uint64_t> disk_free_bytes;
  std::string disk_error;
  uint64_t open_files_limit = 0;
};

std::vector<Finding> Judge(const DoctorFacts& facts);
nlohmann::ordered_json ToJson(const std::vector<Finding>& findings);

// Asks the broker. Appends one message to a stream of its own, which it deletes again.
void ExamineBroker(Bus& bus, Clock& clock, DoctorFacts* facts);
// Asks the operating system.
void ExamineMachine(const std::string& data_dir, DoctorFacts* facts);

}  // namespace millrace
