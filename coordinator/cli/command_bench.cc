// bench: how fast is the cluster that runs?

#include "absl/strings/str_format.h"
#include "common/clock.h"
#include "common/job/job_spec.h"
#include "common/random_id.h"
#include "common/signals.h"
#include "common/strings.h"
#include "coordinator/bench/bench.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_commands.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr int64_t kMaxBenchRecords = 1'000'000'000;
constexpr int64_t kMaxFrameRecords = 10'000;
constexpr absl::Duration kCleanUpDeadline = absl::Seconds(30);

struct BenchFlags {
  int64_t records = 1'000'000;
  int64_t keys = 10'000;
  int64_t partitions = 16;
  int64_t frame = 100;
};

absl::Status CheckRange(const char* flag, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(StrCat(flag, " ", value, " — out of range — between 1 and ", most));
}

absl::StatusOr<BenchOptions> BenchOptionsOf(const BenchFlags& flags) {
  for (const absl::Status& status : {CheckRange("--records", flags.records, kMaxBenchRecords),
                                     CheckRange("--keys", flags.keys, kMaxBenchRecords),
                                     CheckRange("--partitions", flags.partitions, kMaxPartitions),
                                     CheckRange("--frame", flags.frame, kMaxFrameRecords)}) {
    if (!status.ok()) return status;
  }
  BenchOptions options;
  options.uid = RandomId();
  options.job = StrCat("bench-", options.uid.substr(0, 8));
  options.records = static_cast<uint64_t>(flags.records);
  options.keys = static_cast<uint64_t>(flags.keys);
  options.partitions = static_cast<uint32_t>(flags.partitions);
  options.frame_records = static_cast<uint32_t>(flags.frame);
  return options;
}

// The job is of use to nobody afterwards, however the measurement went.
absl::Status CleanUp(Bus& bus, const std::string& name) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const JobRecord* job = cluster->FindJob(name);
  if (job == nullptr) return absl::OkStatus();
  // The Ctrl-C that ended the measurement does not end this; the next one does.
  const int signals_before = StopSignals();
  const auto keep_waiting = [signals_before] {
    return StopSignals() > signals_before ? absl::CancelledError("interrupted") : absl::OkStatus();
  };
  const WaitLimits limits = {kCleanUpDeadline, keep_waiting};
  absl::Status status = ApplyVerb(bus, SystemClock(), name, JobVerb::kCancel, limits);
  if (status.ok()) status = WaitUntilLetGo(bus, SystemClock(), *job, limits);
  return status.ok() ? DeleteJob(bus, *job) : status;
}

std::string BenchText(const BenchReport& report) {
  return absl::StrFormat(
      "throughput  %.0f records/s (%d records in %.2f s)\nlatency     p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, "
      "max "
      "%.1f ms (append to result, one record a message, 200 a second)\n",
      static_cast<double>(report.records) / std::max(report.seconds, 1e-9), report.records, report.seconds,
      absl::ToDoubleMilliseconds(report.Percentile(0.5)), absl::ToDoubleMilliseconds(report.Percentile(0.9)),
      absl::ToDoubleMilliseconds(report.Percentile(0.99)),
      absl::ToDoubleMilliseconds(report.Percentile(1.0)));
}

}  // namespace

int RunBench(const Arguments& arguments) {
  BenchFlags flags;
  CommandLine command(
      "coordinator bench [--records N] [--keys K] [--partitions P] [--frame N] [-o table|json]",
      "Measures the running cluster with a temporary job: records a second, and how long one takes.",
      "coordinator bench --records 5000000 --keys 100000");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Add("records", &flags.records, "N", "how many records for the throughput");
  command.flags().Add("keys", &flags.keys, "K", "of how many keys");
  command.flags().Add("partitions", &flags.partitions, "P", "over how many partitions");
  command.flags().Add("frame", &flags.frame, "N", "how many records in a message");
  if (const auto exit = command.Parse(arguments)) return *exit;
  const auto options = BenchOptionsOf(flags);
  if (!options.ok()) return Fail(options.status());
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const auto report = RunBenchmark(**bus, SystemClock(), *options);
  const absl::Status cleaned = CleanUp(**bus, options->job);
  if (!cleaned.ok()) {
    Say(StrCat("job `", options->job, "` is left over — ", ToStd(cleaned.message()),
               " — try `coordinator delete ", options->job, " --yes`"));
  }
  if (!report.ok()) return Fail(report.status());
  const absl::Status written = WriteOut(command.json() ? ToJson(*report).dump(2) + "\n" : BenchText(*report));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace millrace
