// The cluster that chaos breaks: nats-server, coordinators and workers as child processes, each worker behind
// a link of its own. What dies is started again, unless it is to stay down for a while.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/fault_page.h"
#include "coordinator/chaos/proxy.h"
#include "coordinator/chaos/scenario.h"
#include "coordinator/dev/process.h"

namespace millrace::chaos {

// How a process came to its end.
struct Ending {
  std::string node;
  pid_t pid = 0;
  int signal = 0;     // that killed it
  int exit_code = 0;  // when none did
  absl::Duration at;  // monotonic
};

// Not thread-safe; on the main thread (see Process).
class Nodes {
 public:
  // Everything is kept under `folder`: states, and logs in folder/logs. `old_worker`: the executable that workers
  // are until they are renewed; empty: the one beside this.
  Nodes(const ClusterSpec& spec, std::string folder, std::string old_worker, Clock& clock);
  // Starts the brokers, waits until they keep what they are given, then starts the others. CANCELLED: a stop signal came.
  absl::Status Start();
  // Looks after the processes.
  void Turn();
  // Workers first, then coordinators, then the brokers; kills what does not end in time.
  void Stop();

  const std::string& nats_url() const { return nats_url_; }  // all brokers, separated by commas
  static std::string Broker(int64_t index);                  // "nats-server-1" for 0
  static std::string Worker(int64_t index);                  // "worker-1" for 0
  static std::string Coordinator(int64_t index);             // "coordinator-1" for 0
  // What a fault holds that takes away the majority of the brokers: no process.
  static constexpr char kMajority[] = "the majority of the brokers";
  int64_t brokers() const { return spec_.brokers; }
  int64_t workers() const { return workers_; }
  int64_t coordinators() const { return spec_.coordinators; }
  Proxy& link(int64_t worker) { return *links_[static_cast<size_t>(worker)]; }
  std::string DataFolder(int64_t worker) const;
  std::string CheckpointFolder() const { return folder_ + "/checkpoints"; }
  std::string LogFile(const std::string& node) const;
  // What the worker suffers, in a build with test hooks.
  FaultPage& page(int64_t worker) { return *pages_[static_cast<size_t>(worker)]; }

  // One more worker. REQUIRES: not more than kMostChaosWorkers.
  absl::Status AddWorker();
  static constexpr int64_t kMostChaosWorkers = 32;

  bool IsUp(const std::string& node) const;
  pid_t PidOf(const std::string& node) const;  // 0: it is down
  void Signal(const std::string& node, int number);
  // SIGKILL, and waits for its end. `stays_down`: until StartAgain.
  enum class Then { kStartAgain, kStayDown };
  void Kill(const std::string& node, Then then);
  // What is down or dies is not started again until StartAgain.
  void KeepDown(const std::string& node) { nodes_.at(node).stays_down = true; }
  // Started at once, with these variables for that one life.
  absl::Status StartAgain(const std::string& node, const std::vector<std::string>& environment = {});

  // From its next start on it is of the next release: this one, where it began as an old executable; else this one
  // that takes itself for a later engine, which needs test hooks.
  void Renew(const std::string& worker);
  // What a command is started with to be of the greatest release that a worker was renewed to.
  std::vector<std::string> NextRelease() const;

  // Every end so far, in order.
  const std::vector<Ending>& endings() const { return endings_; }
  // Whether that nats-server accepts connections.
  bool BrokerAnswers(int64_t index) const;
  // More than half of the brokers run.
  bool MajorityUp() const;

 private:
  struct Node {
    std::vector<std::string> arguments, environment;
    std::unique_ptr<Process> process;
    bool stays_down = false;
    uint32_t renewed = 0;  // so often
    int quick_ends = 0;
    absl::Duration started_at, start_at;
  };
  absl::Status Add(const std::string& name, std::vector<std::string> arguments,
                   std::vector<std::string> environment = {});
  absl::Status StartBrokers();
  absl::Status WaitUntil(const std::function<bool()>& holds);
  absl::Status StartCoordinators();
  std::vector<uint16_t> PortsFrom(int64_t index) const;
  absl::Status Launch(const std::string& name, Node& node, const std::vector<std::string>& environment);
  std::vector<std::string> ReleaseVariables(uint32_t renewed) const;
  void NoteEnd(const std::string& name, Node& node);

  const ClusterSpec spec_;
  const std::string folder_, old_worker_;
  Clock& clock_;
  std::string nats_url_, worker_program_;
  std::vector<uint16_t> nats_ports_;
  int64_t workers_ = 0;
  std::vector<std::unique_ptr<Proxy>> links_;
  std::vector<FaultPagePtr> pages_;
  std::map<std::string, Node> nodes_;
  std::vector<Ending> endings_;
};

}  // namespace millrace::chaos
