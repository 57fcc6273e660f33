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
}

int RunServe(const Arguments& arguments) {
  ServiceOptions options;
  Flags flags("coordinator serve [--http ADDR] [--lease-ttl 15s] [--replicas N]",
              "The service: watches workers, deals out partitions, ends jobs. Several may run; one leads.",
              "coordinator serve --nats nats://127.0.0.1:4222 --http 0.0.0.0:8222");
  flags.Add("http", &options.http, "ADDR",
            "where to serve health, metrics and the API; port 0 takes a free one");
  flags.Add("lease-ttl", &options.lease_ttl,
            "how long a worker or a leader may be silent; on a replicated NATS not below 15s");
  flags.Add("replicas", &options.replicas, "N",
            "copies of the buckets that hold jobs, leases and epochs, where they are made: 1, 3 or 5");
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
  if (const absl::Status status = options.connection.Apply("coordinator"); !status.ok()) return Fail(status);
  const absl::Status status = RunService(options, SystemClock());
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
