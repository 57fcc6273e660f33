// `coordinator dev`: a cluster on this machine until Ctrl-C.
#include "coordinator/dev/dev.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "common/blob/blob_url.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/flags.h"
#include "common/signals.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr int64_t kDefaultNatsPort = 4222;
constexpr char kDefaultNats[] = "nats://127.0.0.1:4222";

struct DevFlags {
  DevOptions options;
  CommonOptions common;
  std::optional<int64_t> nats_port_given;
  bool json_ready = false;

  void AddTo(Flags& flags) {
    common.nats.clear();  // not given: a server of our own
    flags.Add("workers", &options.workers, "N", "how many workers");
    flags.Add("lease-ttl", &options.lease_ttl, "how long a worker may be silent before its partitions move");
    flags.Add("data", &options.data, "DIR", "where all state is kept; default: a temporary folder");
    flags.Add(
        "checkpoints", &options.checkpoints, "URL",
        "where the workers copy their state: a directory, s3://BUCKET/PREFIX or objects:BUCKET; default: "
        "nowhere");
    flags.Add("plugins", &options.plugins, "DIR",
              "where the plugins are that jobs name; default: none are run");
    flags.Add("nats-port", &nats_port_given, "PORT",
              "port of the nats-server that is started; 0 takes a free one (default: 4222)");
    flags.Add("http", &options.http, "ADDR", "where the coordinator serves HTTP; port 0 takes a free one");
    flags.AddSwitch("json-ready", &json_ready, "when ready, print one line of JSON on standard output");
    common.AddTo(flags);
  }

  // NATS_URL is for commands in general; a port that is given for a server of one's own goes before it.
  absl::Status ChooseNats(const Arguments& arguments) {
    if (!nats_port_given) return absl::OkStatus();
    const bool typed = std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
      return argument == "--nats" || argument.starts_with("--nats=");
    });
    if (typed) {
      return absl::InvalidArgumentError(
          "--nats and --nats-port — one is a server that runs, the other one that is to be started — give "
          "one of "
          "them");
    }
    common.nats.clear();
    return absl::OkStatus();
  }

  absl::Status Check() {
    const int64_t nats_port = nats_port_given.value_or(kDefaultNatsPort);
    if (options.workers < 0 || options.workers > kMostDevWorkers) {
      return absl::InvalidArgumentError(StrCat("--workers ", options.workers,
                                               " — too many or too few for one machine — at most ",
                                               kMostDevWorkers));
    }
    if (nats_port < 0 || nats_port > 65535) {
      return absl::InvalidArgumentError(
          StrCat("--nats-port ", nats_port, " — no such port — 0 takes a free one"));
    }
    if (!options.checkpoints.empty()) {
      const absl::Status url = ParseBlobUrl(options.checkpoints).status();
      if (!url.ok()) return absl::InvalidArgumentError(StrCat("--checkpoints ", ToStd(url.message())));
    }
    options.nats_port = static_cast<uint16_t>(nats_port);
    options.nats = common.nats;
    const bool own_inbox = common.inbox_prefix != CommonOptions().inbox_prefix;
    for (const auto& [flag, value] :
         {std::pair("--creds", common.creds),
          std::pair("--inbox-prefix", own_inbox ? common.inbox_prefix : ""),
          std::pair("--tls-ca", common.tls_ca), std::pair("--tls-cert", common.tls_cert),
          std::pair("--tls-key", common.tls_key)}) {
      if (!value.empty()) options.connection_flags.insert(options.connection_flags.end(), {flag, value});
    }
    options.log_flags = {"--log-level", common.log_level, "--log-format", common.log_format};
    return common.Apply("dev");
  }
};

std::string ForPeople(const DevCluster& cluster, const DevOptions& options) {
  const auto ready = cluster.Ready();
  std::string workers;
  for (const auto& worker : ready["workers"]) {
    StrAppend(&workers, workers.empty() ? "" : ", ", worker["name"].get<std::string>(), " (pid ",
              worker["pid"].get<int64_t>(), ")");
  }
  const std::string nats =
      cluster.nats_url() == kDefaultNats ? "" : StrCat(" --nats ", WithoutPasswords(cluster.nats_url()));
  return StrCat("Millrace is ready.\n", "  NATS     ", WithoutPasswords(cluster.nats_url()), "\n",
                "  HTTP     ", cluster.http_url(), "\n", "  workers  ", workers.empty() ? "none" : workers,
                "\n", "  data     ", cluster.data_path(), options.data.empty() ? " (removed at the end)" : "",
                "\n", "Next, in another terminal:\n", "  coordinator submit JOB.yaml --input FILE --wait",
                nats, "\n", "  coordinator status JOB", nats, "\n", "  coordinator results JOB", nats, "\n",
                "  coordinator workers", nats, "\n", "Ctrl-C stops all of it.\n");
}

absl::Status RunUntilStopped(DevCluster& cluster, const DevFlags& flags) {
  if (absl::Status status = cluster.Start(); !status.ok()) return status;
  const std::string text =
      flags.json_ready ? cluster.Ready().dump() + "\n" : ForPeople(cluster, flags.options);
  if (absl::Status status = WriteOut(text); !status.ok()) return status;
  while (StopSignals() == 0) cluster.Turn();
  return absl::OkStatus();
}

}  // namespace

int RunDev(const Arguments& arguments) {
  DevFlags dev;
  Flags flags("coordinator dev [--workers 2] [--lease-ttl 3s] [--data DIR] [--nats URL | --nats-port 4222]",
              "A whole cluster on this machine: nats-server, a coordinator and workers, until Ctrl-C.",
              "coordinator dev --workers 3");
  dev.AddTo(flags);
  const auto outcome = flags.Parse(arguments);
  if (!outcome.ok()) return Fail(outcome.status());
  if (!outcome->proceed) return outcome->exit_code;
  if (const absl::Status status = dev.ChooseNats(arguments); !status.ok()) return Fail(status);
  if (const absl::Status status = dev.Check(); !status.ok()) return Fail(status);

  DevCluster cluster(dev.options, SystemClock(),
                     [](const std::string& line) { std::fputs((line + "\n").c_str(), stderr); });
  const absl::Status status = RunUntilStopped(cluster, dev);
  if (StopSignals() > 0) std::fputs("stopping\n", stderr);
  cluster.Stop();
  // Ctrl-C is how dev is meant to end, at whatever moment it comes.
  return absl::IsCancelled(status) && StopSignals() > 0 ? kExitDone : status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
