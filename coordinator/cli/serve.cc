// `coordinator serve`: the service, until a stop signal comes.
#include "common/bus/replicas.h"
#include "common/clock.h"
#include "common/flags.h"
#include "common/strings.h"
#include "common/units.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/service/run_service.h"

namespace millrace {
namespace {
constexpr absl::Duration kLeastLeaseTtl = absl::Milliseconds(500);
constexpr int64_t kMostWorkers = 10'000;  // beyond it a figure is a slip of the keys
constexpr int64_t kLeastBusyPercent = 10, kMostBusyPercent = 95;

// As they are typed.
struct ScalingFlags {
  int64_t min_workers = 1;
  int64_t max_workers = 64;
  int64_t busy_percent = 70;
  absl::Duration quiet = absl::Minutes(5);

  void AddTo(Flags& flags) {
    flags.Add("min-workers", &min_workers, "N", "the metric workers_wanted never asks for fewer");
    flags.Add("max-workers", &max_workers, "N", "the metric workers_wanted never asks for more");
    flags.Add("target-busy", &busy_percent, "PERCENT",
              "share of the lanes' time that work is to take; above it workers_wanted asks for more workers");
    flags.Add("scale-in-after", &quiet, "for so long fewer workers must do before workers_wanted says so");
  }
  absl::StatusOr<ScalingOptions> Checked() const;
};

absl::StatusOr<ScalingOptions> ScalingFlags::Checked() const {
  if (min_workers < 1 || min_workers > max_workers || max_workers > kMostWorkers) {
    return absl::InvalidArgumentError(StrCat("--min-workers ", min_workers, " --max-workers ", max_workers,
                                             " — no range of workers — from 1 to at most ", kMostWorkers));
  }
  if (busy_percent < kLeastBusyPercent || busy_percent > kMostBusyPercent) {
    return absl::InvalidArgumentError(StrCat("--target-busy ", busy_percent,
                                             " — lanes need some reserve, and some work — from ",
                                             kLeastBusyPercent, " to ", kMostBusyPercent, ", in percent"));
  }
  if (quiet <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(StrCat("--scale-in-after ", millrace::FormatDuration(quiet),
                                             " — without a quiet time workers come and go — try 5m"));
  }
  ScalingOptions options;
  options.min_workers = static_cast<size_t>(min_workers);
  options.max_workers = static_cast<size_t>(max_workers);
  options.target_busy = static_cast<double>(busy_percent) / 100;
  options.quiet = quiet;
  return options;
}

}  // namespace

int RunServe(const Arguments& arguments) {
  ServiceOptions options;
  Flags flags(
      "coordinator serve [--http ADDR] [--lease-ttl 15s] [--replicas N] [--min-workers N] [--max-workers N]",
      "The service: watches workers, deals out partitions, ends jobs. Several may run; one leads.",
      "coordinator serve --nats nats://127.0.0.1:4222 --http 0.0.0.0:8222");
  flags.Add("http", &options.http, "ADDR",
            "where to serve health, metrics and the API; port 0 takes a free one");
  flags.Add("lease-ttl", &options.lease_ttl,
            "how long a worker or a leader may be silent; on a replicated NATS not below 15s");
  flags.Add("replicas", &options.replicas, "N",
            "copies of the buckets that hold jobs, leases and epochs, where they are made: 1, 3 or 5");
  ScalingFlags scaling;
  scaling.AddTo(flags);
  options.connection.AddTo(flags);
  const auto outcome = flags.Parse(arguments);
  if (!outcome.ok()) return Fail(outcome.status());
  if (!outcome->proceed) return outcome->exit_code;
  if (const absl::Status status = CheckReplicas(options.replicas); !status.ok()) return Fail(status);
  if (options.lease_ttl < kLeastLeaseTtl) {
    return Fail(absl::InvalidArgumentError(StrCat("--lease-ttl ", millrace::FormatDuration(options.lease_ttl),
                                                  " — too short to be renewed in time — at least ",
                                                  millrace::FormatDuration(kLeastLeaseTtl))));
  }
  const absl::StatusOr<ScalingOptions> checked = scaling.Checked();
  if (!checked.ok()) return Fail(checked.status());
  options.scaling = *checked;
  if (const absl::Status status = options.connection.Apply("coordinator"); !status.ok()) return Fail(status);
  const absl::Status status = RunService(options, SystemClock());
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
