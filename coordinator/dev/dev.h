// A whole cluster on this machine: nats-server, a coordinator, workers, as child processes.
//
// They start in the order in which they need one another and stop in the reverse: workers (they commit and
// give their leases back), the coordinator (it resigns), nats-server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "coordinator/dev/local.h"
#include "coordinator/dev/supervisor.h"
#include "nlohmann/json.hpp"

namespace millrace {

struct DevOptions {
  int64_t workers = 2;
  absl::Duration lease_ttl = absl::Seconds(3);
  std::string data;  // empty: a temporary folder, removed at the end
  std::string nats;  // empty: a nats-server of our own
  uint16_t nats_port = 4222;
  std::string http = "127.0.0.1:8222";
  std::string checkpoints;                    // a URL for the workers; empty: none are kept
  std::string plugins;                        // the workers' folder of them; empty: none
  std::vector<std::string> connection_flags;  // handed on to coordinator and workers, like the next
  std::vector<std::string> log_flags;
};

inline constexpr int64_t kMostDevWorkers = 64;

// Single-threaded, on the main thread (see Process).
class DevCluster {
 public:
  // `say` takes one line for people.
  DevCluster(DevOptions options, Clock& clock, std::function<void(const std::string&)> say);
  // Starts everything and returns when all of it is ready. CANCELLED: a stop signal came. After an error too
  // the caller stops what was started.
  absl::Status Start();

  // Waits for a moment; what died is started again and said so.
  void Turn() { supervisor_.Turn(); }
  void Stop();

  const std::string& nats_url() const { return nats_url_; }
  const std::string& http_url() const { return http_url_; }
  const std::string& data_path() const { return folder_->path(); }
  // {"nats": …, "http": …, "workers": [{"name", "pid"}], …}
  nlohmann::ordered_json Ready() const;

 private:
  absl::Status StartNatsServer();
  absl::Status StartCoordinator();
  absl::Status StartWorkers();
  bool WorkersAreReady() const;
  absl::Status WaitUntil(const std::function<bool()>& ready, const std::string& what);

  const DevOptions options_;
  Clock& clock_;
  std::unique_ptr<DataFolder> folder_;  // outlives the children, which write there
  Supervisor supervisor_;
  std::string nats_url_, http_url_;
  std::string http_host_;
  uint16_t http_port_ = 0;
  std::vector<std::string> worker_names_;
};

}  // namespace millrace
