#include "coordinator/dev/dev.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/signals.h"
#include "common/units.h"

namespace millrace {
namespace {

constexpr std::string_view kGreeting = "INFO ";  // of every NATS server
constexpr char kNatsServer[] = "nats-server";
constexpr char kCoordinator[] = "coordinator";
constexpr absl::Duration kStartDeadline = absl::Seconds(60);
constexpr int kMostRestartsAtStart = 3;
constexpr absl::Duration kAskTimeout = absl::Milliseconds(500);
// A worker's last commit and a coordinator's last call to a broker that has gone fit into this.
constexpr absl::Duration kStopPatience = absl::Seconds(12);

// nats-server tells a lot when all is well.
bool IsTrouble(const std::string& line) { return !absl::StrContains(line, "[INF]"); }

void Append(std::vector<std::string>& arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
}

// Ready as the coordinator sees it, in the incarnation that runs now: the bucket may hold an older one.
bool IsReadyIn(const nlohmann::json& rows, const std::string& name, pid_t pid) {
  return std::any_of(rows.begin(), rows.end(), [&](const nlohmann::json& row) {
    return row.is_object() && row.value("name", "") == name && row.value("pid", int64_t{0}) == pid &&
           row.value("state", "") == "ready";
  });
}

}  // namespace

DevCluster::DevCluster(DevOptions options, Clock& clock, std::function<void(const std::string&)> say)
    : options_(std::move(options)), clock_(clock), supervisor_(clock, std::move(say)) {}

absl::Status DevCluster::Start() {
  auto folder = DataFolder::Open(options_.data);
  if (!folder.ok()) return folder.status();
  folder_ = std::make_unique<DataFolder>(*std::move(folder));
  if (absl::Status status = StartNatsServer(); !status.ok()) return status;
  if (absl::Status status = StartCoordinator(); !status.ok()) return status;
  return StartWorkers();
}

absl::Status DevCluster::StartNatsServer() {
  if (!options_.nats.empty()) {
    nats_url_ = options_.nats;
    return absl::OkStatus();
  }
  const auto server = FindNatsServer();
  if (!server.ok()) return server.status();
  const auto port = PickPort(options_.nats_port, "another --nats-port, 0 takes a free one");
  if (!port.ok()) return port.status();
  nats_url_ = absl::StrCat("nats://127.0.0.1:", *port);
  const absl::Status started = supervisor_.Start(
      {kNatsServer,
       {*server, "--name", "millrace-dev", "--addr", "127.0.0.1", "--port", absl::StrCat(*port),
        "--jetstream", "--store_dir", absl::StrCat(data_path(), "/nats")},
       IsTrouble});
  if (!started.ok()) return started;
  const auto greets = [port = *port] {
    const auto greeting = AskPort("127.0.0.1", port, "", kGreeting.size(), kAskTimeout);
    return greeting.ok() && *greeting == kGreeting;
  };
  return WaitUntil(greets, kNatsServer);
}

absl::Status DevCluster::StartCoordinator() {
  const auto self = FindSibling("coordinator");
  if (!self.ok()) return self.status();
  const size_t colon = options_.http.rfind(':');
  uint32_t wanted = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(options_.http.substr(colon + 1), &wanted) ||
      wanted > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--http ", options_.http, " — expected IP:PORT — try 127.0.0.1:8222"));
  }
  const auto port = PickPort(static_cast<uint16_t>(wanted), "another --http, port 0 takes a free one");
  if (!port.ok()) return port.status();
  http_port_ = *port;
  http_host_ = options_.http.substr(0, colon);
  if (http_host_ == "localhost") http_host_ = "127.0.0.1";
  if (http_host_.empty()) http_host_ = "0.0.0.0";
  http_url_ = absl::StrCat("http://", http_host_ == "0.0.0.0" ? "127.0.0.1" : http_host_, ":", http_port_);
  std::vector<std::string> arguments = {*self,         "serve",
                                        "--nats",      nats_url_,
                                        "--http",      absl::StrCat(http_host_, ":", http_port_),
                                        "--lease-ttl", millrace::FormatDuration(options_.lease_ttl)};
  Append(arguments, options_.connection_flags);
  Append(arguments, options_.log_flags);
  if (absl::Status status = supervisor_.Start({kCoordinator, arguments, {}}); !status.ok()) return status;
  return WaitUntil([this] { return HttpGet(http_host_, http_port_, "/readyz").ok(); }, kCoordinator);
}

absl::Status DevCluster::StartWorkers() {
  const auto worker = FindSibling("worker");
  if (!worker.ok()) return worker.status();
  for (int64_t i = 1; i <= options_.workers; ++i) {
    worker_names_.push_back(absl::StrCat("worker-", i));
    std::vector<std::string> arguments = {*worker,
                                          "--name",
                                          worker_names_.back(),
                                          "--data",
                                          absl::StrCat(data_path(), "/", worker_names_.back()),
                                          "--nats",
                                          nats_url_,
                                          "--http",
                                          "127.0.0.1:0"};
    Append(arguments, options_.connection_flags);
    Append(arguments, options_.log_flags);
    if (!options_.checkpoints.empty()) Append(arguments, {"--checkpoints", options_.checkpoints});
    if (!options_.plugins.empty()) Append(arguments, {"--plugins", options_.plugins});
    if (absl::Status status = supervisor_.Start({worker_names_.back(), arguments, {}}); !status.ok()) {
      return status;
    }
  }
  return WaitUntil([this] { return WorkersAreReady(); }, "the workers");
}

bool DevCluster::WorkersAreReady() const {
  const auto body = HttpGet(http_host_, http_port_, "/api/v1/workers");
  if (!body.ok()) return false;
  const auto rows = nlohmann::json::parse(*body, nullptr, /*allow_exceptions=*/false);
  if (!rows.is_array()) return false;
  return std::all_of(worker_names_.begin(), worker_names_.end(),
                     [&](const std::string& name) { return IsReadyIn(rows, name, supervisor_.PidOf(name)); });
}

absl::Status DevCluster::WaitUntil(const std::function<bool()>& ready, const std::string& what) {
  const absl::Duration until = clock_.Monotonic() + kStartDeadline;
  while (!ready()) {
    if (StopSignals() > 0) return absl::CancelledError("interrupted");
    if (supervisor_.restarts() > kMostRestartsAtStart) {
      return absl::FailedPreconditionError(
          absl::StrCat(what, " cannot be started — the lines above say why — try --log-level debug"));
    }
    if (clock_.Monotonic() >= until) {
      return absl::FailedPreconditionError(absl::StrCat(
          what, " not ready within ", millrace::FormatDuration(kStartDeadline), " — try --log-level debug"));
    }
    supervisor_.Turn();
  }
  return absl::OkStatus();
}

void DevCluster::Stop() {
  supervisor_.Stop(worker_names_, kStopPatience);
  supervisor_.Stop({kCoordinator}, kStopPatience);
  supervisor_.Stop({kNatsServer}, kStopPatience);
}

nlohmann::ordered_json DevCluster::Ready() const {
  nlohmann::ordered_json ready = {{"nats", nats_url_}, {"http", http_url_}};
  ready["workers"] = nlohmann::ordered_json::array();
  for (const std::string& name : worker_names_) {
    ready["workers"].push_back({{"name", name}, {"pid", supervisor_.PidOf(name)}});
  }
  ready["coordinator"] = {{"pid", supervisor_.PidOf(kCoordinator)}};
  if (const pid_t pid = supervisor_.PidOf(kNatsServer); pid != 0) ready["nats_server"] = {{"pid", pid}};
  ready["data"] = data_path();
  return ready;
}

}  // namespace millrace
