#include "coordinator/chaos/nodes.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "common/signals.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/dev/local.h"

namespace millrace::chaos {
namespace {

constexpr absl::Duration kBrokerDeadline = absl::Seconds(20);
constexpr absl::Duration kStopDeadline = absl::Seconds(10);
constexpr absl::Duration kNap = absl::Milliseconds(5);
// A process that ends so soon after its start again and again waits before the next, for at most so long.
constexpr absl::Duration kQuickEnd = absl::Seconds(1);
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr int kMostDoublings = 4;
constexpr std::string_view kBrokerGreeting = "INFO ";
constexpr absl::Duration kGreetingTimeout = absl::Milliseconds(500);

}  // namespace

Nodes::Nodes(const ClusterSpec& spec, std::string folder, Clock& clock)
    : spec_(spec), folder_(std::move(folder)), clock_(clock) {}

std::string Nodes::Worker(int64_t index) { return StrCat("worker-", index + 1); }
std::string Nodes::Coordinator(int64_t index) { return StrCat("coordinator-", index + 1); }
std::string Nodes::DataFolder(int64_t worker) const { return StrCat(folder_, "/", Worker(worker)); }
std::string Nodes::LogFile(const std::string& node) const { return StrCat(folder_, "/logs/", node, ".log"); }

absl::Status Nodes::Start() {
  std::error_code error;
  std::filesystem::create_directories(folder_ + "/logs", error);
  if (error) {
    return absl::FailedPreconditionError(
        StrCat("cannot make ", folder_, "/logs — ", error.message(), " — try another --data"));
  }
  if (absl::Status status = StartBroker(); !status.ok()) return status;
  if (absl::Status status = StartCoordinators(); !status.ok()) return status;
  const auto worker = FindSibling("worker");
  if (!worker.ok()) return worker.status();
  worker_program_ = *worker;
  for (int64_t i = 0; i < spec_.workers; ++i) {
    if (absl::Status status = AddWorker(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Nodes::StartBroker() {
  const auto server = FindNatsServer();
  if (!server.ok()) return server.status();
  const auto port = PickPort(0, "again");
  if (!port.ok()) return port.status();
  nats_port_ = *port;
  nats_url_ = StrCat("nats://127.0.0.1:", nats_port_);
  absl::Status started = Add(kBroker, {*server, "--name", "millrace-chaos", "--addr", "127.0.0.1", "--port",
                                       StrCat(nats_port_), "--jetstream", "--store_dir", folder_ + "/nats"});
  if (!started.ok()) return started;
  const absl::Duration until = clock_.Monotonic() + kBrokerDeadline;
  while (!BrokerAnswers()) {
    if (StopSignals() > 0) return absl::CancelledError("interrupted");
    if (clock_.Monotonic() > until) {
      return absl::FailedPreconditionError(StrCat("nats-server not ready within ",
                                                  millrace::FormatDuration(kBrokerDeadline),
                                                  " — its log says why — see ", LogFile(kBroker)));
    }
    clock_.Sleep(kNap);
  }
  return absl::OkStatus();
}

absl::Status Nodes::StartCoordinators() {
  const auto self = FindSibling("coordinator");
  if (!self.ok()) return self.status();
  for (int64_t i = 0; i < spec_.coordinators; ++i) {
    absl::Status status = Add(Coordinator(i), {*self, "serve", "--nats", nats_url_, "--http", "127.0.0.1:0",
                                               "--lease-ttl", millrace::FormatDuration(spec_.lease)});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Nodes::AddWorker() {
  auto link = Proxy::Start(nats_port_);
  if (!link.ok()) return link.status();
  links_.push_back(*std::move(link));
  const int64_t index = workers_++;
  return Add(Worker(index), {worker_program_, "--nats", StrCat("nats://127.0.0.1:", links_.back()->port()),
                             "--name", Worker(index), "--data", DataFolder(index)});
}

absl::Status Nodes::Add(const std::string& name, std::vector<std::string> arguments) {
  Node& node = nodes_[name];
  node.arguments = std::move(arguments);
  return Launch(name, node, {});
}

absl::Status Nodes::Launch(const std::string& name, Node& node, const std::vector<std::string>& environment) {
  ProcessOptions options;
  options.arguments = node.arguments;
  options.environment = environment;
  options.log_file = LogFile(name);
  auto process = Process::Start(options);
  if (!process.ok()) return process.status();
  node.process = *std::move(process);
  node.started_at = clock_.Monotonic();
  return absl::OkStatus();
}

void Nodes::NoteEnd(const std::string& name, Node& node) {
  const absl::Duration now = clock_.Monotonic();
  endings_.push_back(
      {name, node.process->pid(), node.process->ending_signal(), node.process->exit_code(), now});
  node.quick_ends = now - node.started_at < kQuickEnd ? std::min(node.quick_ends + 1, kMostDoublings) : 0;
  node.start_at = now + (node.quick_ends == 0 ? absl::ZeroDuration() : kFirstPause * (1 << node.quick_ends));
  node.process.reset();
}

void Nodes::Turn() {
  for (auto& [name, node] : nodes_) {
    if (node.process != nullptr && node.process->HowItEnded().has_value()) NoteEnd(name, node);
    if (node.process != nullptr || node.stays_down || clock_.Monotonic() < node.start_at) continue;
    if (!Launch(name, node, {}).ok()) node.start_at = clock_.Monotonic() + kFirstPause;
  }
}

bool Nodes::IsUp(const std::string& node) const { return PidOf(node) != 0; }

pid_t Nodes::PidOf(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() || found->second.process == nullptr ? 0 : found->second.process->pid();
}

void Nodes::Signal(const std::string& node, int number) {
  if (const auto found = nodes_.find(node); found != nodes_.end() && found->second.process != nullptr) {
    found->second.process->Signal(number);
  }
}

void Nodes::Kill(const std::string& name, Then then) {
  Node& node = nodes_.at(name);
  node.stays_down = then == Then::kStayDown;
  if (node.process == nullptr) return;
  node.process->Signal(SIGKILL);
  while (!node.process->HowItEnded().has_value()) clock_.Sleep(kNap);
  NoteEnd(name, node);
  node.start_at = clock_.Monotonic();
}

absl::Status Nodes::StartAgain(const std::string& name, const std::vector<std::string>& environment) {
  Node& node = nodes_.at(name);
  node.stays_down = false;
  if (node.process != nullptr) return absl::OkStatus();
  return Launch(name, node, environment);
}

bool Nodes::BrokerAnswers() const {
  const auto greeting = AskPort("127.0.0.1", nats_port_, "", kBrokerGreeting.size(), kGreetingTimeout);
  return greeting.ok() && *greeting == kBrokerGreeting;
}

void Nodes::Stop() {
  const auto end = [&](const std::function<bool(const std::string&)>& is_meant) {
    for (auto& [name, node] : nodes_) {
      if (!is_meant(name) || node.process == nullptr) continue;
      node.stays_down = true;
      node.process->Signal(SIGCONT);
      node.process->Signal(SIGTERM);
    }
    const absl::Duration until = clock_.Monotonic() + kStopDeadline;
    for (auto& [name, node] : nodes_) {
      if (!is_meant(name) || node.process == nullptr) continue;
      while (!node.process->HowItEnded().has_value() && clock_.Monotonic() < until) clock_.Sleep(kNap);
      node.process.reset();  // kills what still runs
    }
  };
  end([](const std::string& name) { return name.rfind("worker-", 0) == 0; });
  end([](const std::string& name) { return name.rfind("coordinator-", 0) == 0; });
  end([](const std::string& name) { return name == kBroker; });
}

}  // namespace millrace::chaos
