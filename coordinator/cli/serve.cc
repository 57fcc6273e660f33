// `coordinator serve`: connects, makes the buckets, and turns the service's loop until a stop signal comes.
#include <unistd.h>

#include <random>

#include "absl/strings/str_format.h"
#include "common/bus/nats_bus.h"
#include "common/clock.h"
#include "common/flags.h"
#include "common/http/http_server.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/names.h"
#include "common/signals.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/context.h"
#include "coordinator/service/api.h"
#include "coordinator/service/board.h"
#include "coordinator/service/service.h"

namespace millrace {
namespace {

constexpr absl::Duration kLeastLeaseTtl = absl::Milliseconds(500);
constexpr absl::Duration kConnectTry = absl::Seconds(2);
constexpr absl::Duration kBetweenTries = absl::Milliseconds(500);

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
std::unique_ptr<Bus> ConnectAndPrepare(const CommonOptions& common, Clock& clock) {
  NatsOptions options;
  options.url = common.nats;
  options.creds = common.creds;
  options.tls_ca = common.tls_ca;
  options.tls_cert = common.tls_cert;
  options.tls_key = common.tls_key;
  options.client_name = "millrace-coordinator";
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
      if (status.ok()) status = bus->CreateBucket(bucket);
    }
    if (status.ok()) return bus;
    if (said != status.message()) {
      LogWarning("waiting for NATS", {{"nats", common.nats}, {"error", ToStd(status.message())}});
      said = std::string(status.message());
    }
    clock.Sleep(kBetweenTries);
  }
  return nullptr;
}

}  // namespace

int RunServe(const Arguments& arguments) {
  CommonOptions common;
  std::string http = "127.0.0.1:8222";
  absl::Duration lease_ttl = absl::Seconds(15);
  Flags flags("coordinator serve [--http ADDR] [--lease-ttl 15s]",
              "The service: watches workers, deals out partitions, ends jobs. Several may run; one leads.",
              "coordinator serve --nats nats://127.0.0.1:4222 --http 0.0.0.0:8222");
  flags.Add("http", &http, "ADDR", "where to serve health, metrics and the API; port 0 takes a free one");
  flags.Add("lease-ttl", &lease_ttl,
            "how long a worker or a leader may be silent; on a replicated NATS not below 15s");
  common.AddTo(flags);
  const auto outcome = flags.Parse(arguments);
  if (!outcome.ok()) return Fail(outcome.status());
  if (!outcome->proceed) return outcome->exit_code;
  if (lease_ttl < kLeastLeaseTtl) {
    return Fail(absl::InvalidArgumentError(StrCat("--lease-ttl ", millrace::FormatDuration(lease_ttl),
                                                  " — too short to be renewed in time — at least ",
                                                  millrace::FormatDuration(kLeastLeaseTtl))));
  }
  if (const absl::Status status = common.Apply("coordinator"); !status.ok()) return Fail(status);

  Clock& clock = SystemClock();
  Metrics metrics;
  Board board;
  const Api api(board, metrics, clock);
  // Declared before the server, so that it outlives the handlers that ask it.
  std::unique_ptr<Bus> bus;
  const auto server = HttpServer::Start(http, [&api](const HttpRequest& r) { return api.Answer(r); });
  if (!server.ok()) return Fail(server.status());
  const std::string url = StrCat("http://", (*server)->address());
  LogInfo("serving", {{"http", url}});

  bus = ConnectAndPrepare(common, clock);
  if (bus == nullptr) return kExitDone;
  LogInfo("connected", {{"nats", common.nats}, {"lease_ttl", millrace::FormatDuration(lease_ttl)}});
  std::random_device entropy;
  const uint64_t random_id = (uint64_t{entropy()} << 32) | entropy();
  Leadership::Options options{Self(random_id, url), lease_ttl, random_id};
  Service service(std::move(options), *bus, clock, board, metrics);
  while (StopSignals() == 0) service.Turn();
  LogInfo("stopping", {});
  service.Resign();
  board.Show({});
  return kExitDone;
}

}  // namespace millrace
