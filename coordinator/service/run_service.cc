#include "coordinator/service/run_service.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/bus/nats_flags.h"
#include "common/escape.h"
#include "common/http/http_server.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/names.h"
#include "common/signals.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/service/api.h"
#include "coordinator/service/board.h"
#include "coordinator/service/lag_meter.h"
#include "coordinator/service/service.h"
#include "coordinator/sinks/sink_writers.h"
#include "coordinator/sources/source_feeders.h"

namespace millrace {
namespace {

constexpr absl::Duration kConnectTry = absl::Seconds(2);
constexpr absl::Duration kBetweenTries = absl::Milliseconds(500);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(200);
constexpr int kLagLooksPerLease = 3;

CoordinatorLease Self(uint64_t random_id, const std::string& http) {
  CoordinatorLease self;
  self.id = absl::StrFormat("%016x", random_id);
  char host[256] = {};
  if (gethostname(host, sizeof(host) - 1) == 0) self.host = host;
  self.pid = getpid();
  self.http = http;
  return self;
}

// Connects and makes the buckets, trying for ever. Null: a stop signal came first.
std::unique_ptr<Bus> ConnectAndPrepare(const ServiceOptions& service, Clock& clock) {
  NatsOptions options = NatsOptionsOf(service.connection, "millrace-coordinator");
  options.connect_deadline = kConnectTry;
  std::string said;
  std::unique_ptr<Bus> bus;
  while (StopSignals() == 0) {
    absl::Status status;
    if (bus == nullptr) {
      auto connected = ConnectNats(options, clock);
      status = connected.status();
      if (connected.ok()) bus = *std::move(connected);
    }
    for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
      if (status.ok()) status = bus->CreateBucket(bucket, static_cast<int>(service.replicas));
    }
    if (status.ok()) return bus;
    if (said != status.message()) {
      LogWarning("waiting for NATS",
                 {{"nats", WithoutPasswords(service.connection.nats)}, {"error", ToStd(status.message())}});
      said = std::string(status.message());
    }
    clock.Sleep(kBetweenTries);
  }
  return nullptr;
}

}  // namespace

absl::Status RunService(const ServiceOptions& options, Clock& clock) {
  Metrics metrics;
  Board board;
  const Api api(board, metrics, clock);
  std::unique_ptr<Bus> bus;  // outlives the server, whose handlers ask it
  const auto server = HttpServer::Start(options.http, [&api](const HttpRequest& r) { return api.Answer(r); });
  if (!server.ok()) return server.status();
  const std::string url = StrCat("http://", (*server)->address());
  LogInfo("serving", {{"http", url}});

  bus = ConnectAndPrepare(options, clock);
  if (bus == nullptr) return absl::OkStatus();
  LogInfo("connected", {{"nats", WithoutPasswords(options.connection.nats)},
                        {"lease_ttl", millrace::FormatDuration(options.lease_ttl)}});
  std::random_device entropy;
  const uint64_t random_id = (uint64_t{entropy()} << 32) | entropy();
  Service service({Self(random_id, url), options.lease_ttl, random_id}, *bus, clock, board, metrics);
  SourceFeeders feeders(
      [&] { return ConnectNats(NatsOptionsOf(options.connection, "millrace-source"), clock); }, clock);
  SinkWriters writers([&] { return ConnectNats(NatsOptionsOf(options.connection, "millrace-sink"), clock); },
                      clock, metrics);
  // Owners say how far they are a few times a lease: to ask more rarely would be to know less.
  const absl::Duration lag_interval = std::min(kLagInterval, options.lease_ttl / kLagLooksPerLease);
  LagMeter lag(*bus, clock, metrics, {lag_interval, options.scaling});
  absl::Duration look_at = clock.Monotonic();
  while (StopSignals() == 0) {
    service.Turn();
    if (clock.Monotonic() < look_at) continue;
    look_at = clock.Monotonic() + kBetweenLooks;
    feeders.Update(service.JobsInCharge());
    writers.Update(service.JobsToBringOut());
    lag.Update(service.Leads() ? board.Look().snapshot : nullptr);
  }
  LogInfo("stopping", {});
  service.Resign();
  return absl::OkStatus();
}

}  // namespace millrace
