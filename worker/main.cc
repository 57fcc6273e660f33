// worker: runs partitions.
#include <unistd.h>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "common/bus/nats_bus.h"
#include "common/bus/nats_flags.h"
#include "common/bus/replicas.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/flags.h"
#include "common/log.h"
#include "common/names.h"
#include "common/process.h"
#include "common/signals.h"
#include "common/strings.h"
#include "common/units.h"
#include "common/version.h"
#include "common/zone.h"
#include "worker/http/worker_http.h"
#include "worker/runtime/process_usage.h"
#include "worker/runtime/worker_runtime.h"

namespace millrace {
namespace {

// A worker looks for its broker for ever, and says so. Between two looks it waits for a random time in
// between, so that a cluster that comes up with its broker does not knock all at once.
constexpr absl::Duration kConnectTry = absl::Seconds(1);
constexpr absl::Duration kLeastBetweenTries = absl::Milliseconds(200);
constexpr absl::Duration kMostBetweenTries = absl::Seconds(1);
constexpr absl::Duration kSignalPoll = absl::Milliseconds(50);

constexpr uint64_t kMinMemoryBytes = 16 << 20;

struct WorkerFlags {
  CommonOptions common;
  std::string name;
  std::string data = "millrace-data";
  std::string http;
  std::string zone;
  std::string checkpoints;
  std::string plugins;
  absl::Duration checkpoint_interval = kDefaultCheckpointInterval;
  int64_t checkpoints_kept = kDefaultKeptCheckpoints;
  int64_t lanes = 0;
  int64_t replicas = 1;
  uint64_t memory = uint64_t{1} << 30;
  absl::Duration drain_timeout = kDefaultDrainTimeout;
};

int Fail(int code, const absl::Status& status) {
  std::fprintf(stderr, "worker: %s\n", EscapeControls(ToStd(status.message())).c_str());
  return code;
}

int ExitCodeOf(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return kExitUsage;
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ? kExitCannotConnect : kExitFailed;
}

std::string DefaultName() {
  char host[65] = {};
  if (gethostname(host, sizeof(host) - 1) != 0 || !IsValidName(host)) return StrCat("worker-", getpid());
  return host;
}

absl::Status AddCheckpoints(const WorkerFlags& flags, WorkerOptions* options) {
  if (flags.checkpoint_interval < kMinCheckpointInterval ||
      flags.checkpoint_interval > kMaxCheckpointInterval) {
    return absl::InvalidArgumentError(
        StrCat("--checkpoint-interval ", millrace::FormatDuration(flags.checkpoint_interval),
               " cannot be used — it is ", millrace::FormatDuration(kMinCheckpointInterval), " to ",
               millrace::FormatDuration(kMaxCheckpointInterval), " — try 30s"));
  }
  if (flags.checkpoints_kept < 1 || flags.checkpoints_kept > kMaxKeptCheckpoints) {
    return absl::InvalidArgumentError(StrCat("--checkpoint-keep ", flags.checkpoints_kept,
                                             " cannot be used — it is 1 to ", kMaxKeptCheckpoints,
                                             " — try 3"));
  }
  options->checkpoint_interval = flags.checkpoint_interval;
  options->checkpoints_kept = static_cast<size_t>(flags.checkpoints_kept);
  if (flags.checkpoints.empty()) return absl::OkStatus();
  absl::StatusOr<BlobUrl> url = ParseBlobUrl(flags.checkpoints);
  if (!url.ok()) return absl::InvalidArgumentError(StrCat("--checkpoints ", ToStd(url.status().message())));
  options->checkpoints = *std::move(url);
  return absl::OkStatus();
}

absl::StatusOr<WorkerOptions> MakeOptions(WorkerFlags& flags) {
  WorkerOptions options;
  options.name = flags.name.empty() ? DefaultName() : flags.name;
  if (!IsValidName(options.name)) {
    return absl::InvalidArgumentError(
        StrCat("--name \"", options.name,
               "\" cannot be used — a name has 1 to 64 of A-Z a-z 0-9 _ - — try worker-1"));
  }
  if (flags.lanes < 0 || flags.lanes > kMaxLanes) {
    return absl::InvalidArgumentError(StrCat("--lanes ", flags.lanes, " cannot be used — it is 1 to ",
                                             kMaxLanes, ", or 0 for one a core — try 0"));
  }
  if (flags.memory < kMinMemoryBytes) {
    return absl::InvalidArgumentError(StrCat("--memory ", FormatSize(flags.memory),
                                             " is too small to work with — it is ",
                                             FormatSize(kMinMemoryBytes), " or more — try 256MiB"));
  }
  if (flags.drain_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "--drain-timeout leaves no time for the last commits — it is more than 0 — try 20s");
  }
  if (!flags.zone.empty() && !IsValidZone(flags.zone)) {
    return absl::InvalidArgumentError(
        StrCat("--zone \"", flags.zone,
               "\" cannot be used — a zone has 1 to 253 of A-Z a-z 0-9 _ - . — try eu-west-1a"));
  }
  options.zone = flags.zone;
  options.plugins = flags.plugins;
  options.drain_timeout = flags.drain_timeout;
  if (absl::Status status = AddCheckpoints(flags, &options); !status.ok()) return status;
  options.lanes = flags.lanes == 0 ? AvailableCores() : static_cast<uint32_t>(flags.lanes);
  if (absl::Status status = CheckReplicas(flags.replicas); !status.ok()) return status;
  options.replicas = flags.replicas;
  options.data_dir = flags.data;
  options.memory_bytes = flags.memory;
  options.version = MILLRACE_VERSION;
  options.seed = std::random_device()() * uint64_t{0x100000001} ^ static_cast<uint64_t>(getpid());
  return options;
}

// CANCELLED: a stop signal came first.
absl::StatusOr<std::unique_ptr<WorkerRuntime>> CreateWhenNatsAnswers(const WorkerOptions& options,
                                                                     const WorkerRuntime::Connect& connect) {
  std::mt19937_64 random(options.seed);
  std::string said;
  while (StopSignals() == 0) {
    auto runtime = WorkerRuntime::Create(options, connect, SystemClock());
    if (!absl::IsUnavailable(runtime.status()) && !absl::IsDeadlineExceeded(runtime.status())) return runtime;
    if (said != runtime.status().message()) {
      said = std::string(runtime.status().message());
      LogWarning("waiting for NATS", {{"why", runtime.status()}});
    }
    std::uniform_real_distribution<double> share(0, 1);
    absl::Duration wait = kLeastBetweenTries + share(random) * (kMostBetweenTries - kLeastBetweenTries);
    for (; wait > absl::ZeroDuration() && StopSignals() == 0; wait -= kSignalPoll) {
      SystemClock().Sleep(kSignalPoll);
    }
  }
  return absl::CancelledError("stopped");
}

int Run(WorkerFlags& flags) {
  absl::StatusOr<WorkerOptions> options = MakeOptions(flags);
  if (!options.ok()) return Fail(kExitUsage, options.status());
  WorkerHttp http;
  if (!flags.http.empty()) {
    if (absl::Status status = http.Start(flags.http); !status.ok()) return Fail(ExitCodeOf(status), status);
    options->http = http.address();
  }
  options->metrics = &http.metrics();
  const auto connect = [&](const std::string& purpose) {
    NatsOptions nats = NatsOptionsOf(flags.common, StrCat("millrace worker ", options->name, " ", purpose));
    nats.connect_deadline = kConnectTry;
    nats.sends_at_once = true;  // results are packed by then; a millisecond less to each
    return ConnectNats(nats, SystemClock());
  };
  absl::StatusOr<std::unique_ptr<WorkerRuntime>> runtime = CreateWhenNatsAnswers(*options, connect);
  if (absl::IsCancelled(runtime.status())) return kExitDone;
  if (!runtime.ok()) return Fail(ExitCodeOf(runtime.status()), runtime.status());
  http.Serve(runtime->get());
  LogInfo("worker started",
          {{"name", options->name}, {"lanes", options->lanes}, {"data", options->data_dir}});
  const absl::Status status = (*runtime)->Run([] { return StopSignals() > 0; });
  http.Serve(nullptr);
  if (!status.ok()) return Fail(kExitFailed, status);
  LogInfo("worker stopped", {{"name", options->name}});
  return kExitDone;
}

int Main(const std::vector<std::string>& arguments) {
  WorkerFlags options;
  Flags flags(
      "worker [--name NAME] [--data DIR] [--lanes N] [--memory SIZE] [--checkpoints URL] [--plugins DIR] "
      "[--zone Z] [--drain-timeout D] [--http ADDR]",
      "Runs partitions: takes its share of every job, keeps the state under --data, and gives all of "
      "it back on SIGTERM.",
      "worker --nats nats://127.0.0.1:4222 --name worker-1 --data /var/lib/millrace");
  options.common.AddTo(flags);
  flags.Add("name", &options.name, "NAME",
            "what this worker is called; the same after a restart (default: the host's name)");
  flags.Add("data", &options.data, "DIR", "where state is kept; one process at a time");
  flags.Add("lanes", &options.lanes, "N",
            "threads that run partitions; 0: one for each core that may be used");
  flags.Add("checkpoints", &options.checkpoints, "URL",
            "copy the state here, so that another worker can go on from it: a directory, "
            "s3://BUCKET/PREFIX?endpoint=URL&region=NAME (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or "
            "objects:BUCKET, a JetStream object store; the same for all workers (default: no copies)");
  flags.Add("checkpoint-interval", &options.checkpoint_interval,
            "how often each partition's state is copied, at most");
  flags.Add("checkpoint-keep", &options.checkpoints_kept, "N", "how many copies of each partition are kept");
  flags.AddSize("memory", &options.memory,
                "for state, of all partitions together; what does not fit stays on disk");
  flags.Add(
      "replicas", &options.replicas, "N",
      "copies of the buckets that hold jobs, leases, epochs and checkpoints, where they are made: 1, 3 or 5");
  flags.Add("plugins", &options.plugins, "DIR",
            "where the plugins are that jobs name; the same files for all workers (default: none are run)");
  flags.Add("zone", &options.zone, "Z",
            "where this worker runs: each job's partitions are spread over the zones");
  flags.Add("drain-timeout", &options.drain_timeout,
            "on SIGTERM: how long the last commits may take before the process ends all the same");
  flags.Add("http", &options.http, "ADDR",
            "answer /healthz, /readyz, /metrics and /api/v1/partitions here, as 127.0.0.1:8223");
  absl::StatusOr<Flags::Outcome> outcome = flags.Parse(arguments);
  if (!outcome.ok()) return Fail(kExitUsage, outcome.status());
  if (!outcome->proceed) return outcome->exit_code;
  if (absl::Status status = options.common.Apply("worker"); !status.ok()) return Fail(kExitUsage, status);
  CatchStopSignals();
  return Run(options);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  millrace::SetUpProcess();
  return millrace::Main(std::vector<std::string>(argv + 1, argv + argc));
}
