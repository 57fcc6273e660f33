#include "coordinator/chaos/nodes.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <set>

#include "common/signals.h"
#include "common/step_version.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/chaos/brokers.h"
#include "coordinator/chaos/ledger.h"
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

Nodes::Nodes(const ClusterSpec& spec, std::string folder, std::string old_worker, Clock& clock)
    : spec_(spec), folder_(std::move(folder)), old_worker_(std::move(old_worker)), clock_(clock) {}

std::string Nodes::Broker(int64_t index) { return StrCat("nats-server-", index + 1); }
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
  if (absl::Status status = StartBrokers(); !status.ok()) return status;
  if (absl::Status status = StartCoordinators(); !status.ok()) return status;
  const auto worker = FindSibling("worker");
  if (!worker.ok()) return worker.status();
  worker_program_ = *worker;
  for (int64_t i = 0; i < spec_.workers; ++i) {
    if (absl::Status status = AddWorker(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Nodes::StartBrokers() {
  const auto server = FindNatsServer();
  if (!server.ok()) return server.status();
  std::vector<BrokerSpec> brokers(static_cast<size_t>(spec_.brokers));
  std::set<uint16_t> taken;
  for (size_t i = 0; i < brokers.size(); ++i) {
    brokers[i] = {Broker(static_cast<int64_t>(i)), StrCat(folder_, "/", Broker(static_cast<int64_t>(i))), 0,
                  0};
    for (uint16_t* port : {&brokers[i].port, &brokers[i].route_port}) {
      do {
        const auto picked = PickPort(0, "again");
        if (!picked.ok()) return picked.status();
        *port = *picked;
      } while (!taken.insert(*port).second);
    }
    nats_ports_.push_back(brokers[i].port);
    StrAppend(&nats_url_, i == 0 ? "" : ",", "nats://127.0.0.1:", brokers[i].port);
  }
  for (size_t i = 0; i < brokers.size(); ++i) {
    const std::string config = brokers[i].store + ".conf";
    if (absl::Status status = WriteFile(config, BrokerConfig(brokers, i)); !status.ok()) return status;
    if (absl::Status status = Add(brokers[i].name, {*server, "--config", config}); !status.ok())
      return status;
  }
  for (int64_t i = 0; i < spec_.brokers; ++i) {
    if (absl::Status status = WaitUntil([&] { return BrokerAnswers(i); }); !status.ok()) return status;
  }
  const auto addresses = PlainNats::ParseUrls(nats_url_);
  if (!addresses.ok()) return addresses.status();
  PlainNats nats(*addresses);
  return WaitUntil([&] { return MakeProbe(nats, spec_.brokers).ok(); });
}

absl::Status Nodes::WaitUntil(const std::function<bool()>& holds) {
  const absl::Duration until = clock_.Monotonic() + kBrokerDeadline;
  while (!holds()) {
    if (StopSignals() > 0) return absl::CancelledError("interrupted");
    if (clock_.Monotonic() > until) {
      return absl::FailedPreconditionError(StrCat("nats-server not ready within ",
                                                  millrace::FormatDuration(kBrokerDeadline),
                                                  " — its log says why — see ", folder_, "/logs"));
    }
    clock_.Sleep(kNap);
  }
  return absl::OkStatus();
}

absl::Status Nodes::StartCoordinators() {
  const auto self = FindSibling("coordinator");
  if (!self.ok()) return self.status();
  for (int64_t i = 0; i < spec_.coordinators; ++i) {
    absl::Status status =
        Add(Coordinator(i), {*self, "serve", "--nats", nats_url_, "--http", "127.0.0.1:0", "--lease-ttl",
                             millrace::FormatDuration(spec_.lease), "--replicas", StrCat(spec_.brokers)});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Each worker is led to another broker first.
std::vector<uint16_t> Nodes::PortsFrom(int64_t index) const {
  std::vector<uint16_t> ports = nats_ports_;
  std::rotate(ports.begin(), ports.begin() + index % spec_.brokers, ports.end());
  return ports;
}

absl::Status Nodes::AddWorker() {
  const int64_t index = workers_;
  auto link = Proxy::Start(PortsFrom(index));
  if (!link.ok()) return link.status();
  const std::string page_file = DataFolder(index) + ".page";
  auto page = MapFaultPage(page_file);
  if (!page.ok()) return page.status();
  links_.push_back(*std::move(link));
  pages_.push_back(*std::move(page));
  ++workers_;
  std::vector<std::string> arguments = {old_worker_.empty() ? worker_program_ : old_worker_,
                                        "--nats",
                                        StrCat("nats://127.0.0.1:", links_.back()->port()),
                                        "--name",
                                        Worker(index),
                                        "--data",
                                        DataFolder(index),
                                        "--replicas",
                                        StrCat(spec_.brokers)};
  if (spec_.checkpoints > absl::ZeroDuration()) {
    arguments.insert(arguments.end(), {"--checkpoints", CheckpointFolder(), "--checkpoint-interval",
                                       millrace::FormatDuration(spec_.checkpoints)});
  }
  return Add(Worker(index), std::move(arguments), {StrCat("MILLRACE_FAULT_PAGE=", page_file)});
}

absl::Status Nodes::Add(const std::string& name, std::vector<std::string> arguments,
                        std::vector<std::string> environment) {
  Node& node = nodes_[name];
  node.arguments = std::move(arguments);
  node.environment = std::move(environment);
  return Launch(name, node, {});
}

absl::Status Nodes::Launch(const std::string& name, Node& node, const std::vector<std::string>& environment) {
  ProcessOptions options;
  options.arguments = node.arguments;
  options.environment = node.environment;
  for (const auto& more : {environment, ReleaseVariables(node.renewed)}) {
    options.environment.insert(options.environment.end(), more.begin(), more.end());
  }
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

void Nodes::Renew(const std::string& worker) {
  Node& node = nodes_.at(worker);
  ++node.renewed;
  node.arguments.front() = worker_program_;
}

std::vector<std::string> Nodes::ReleaseVariables(uint32_t renewed) const {
  const uint32_t real = old_worker_.empty() ? 0 : 1;
  if (renewed <= real) return {};
  return {StrCat("MILLRACE_STEP_VERSION=", kStepVersion + renewed - real)};
}

std::vector<std::string> Nodes::NextRelease() const {
  uint32_t renewed = 0;
  for (const auto& [name, node] : nodes_) renewed = std::max(renewed, node.renewed);
  return ReleaseVariables(renewed);
}

bool Nodes::BrokerAnswers(int64_t index) const {
  const uint16_t port = nats_ports_[static_cast<size_t>(index)];
  const auto greeting = AskPort("127.0.0.1", port, "", kBrokerGreeting.size(), kGreetingTimeout);
  return greeting.ok() && *greeting == kBrokerGreeting;
}

bool Nodes::MajorityUp() const {
  int64_t up = 0;
  for (int64_t i = 0; i < spec_.brokers; ++i) up += IsUp(Broker(i)) ? 1 : 0;
  return 2 * up > spec_.brokers;
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
  end([](const std::string& name) { return name.rfind("nats-server-", 0) == 0; });
}

}  // namespace millrace::chaos
