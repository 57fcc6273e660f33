// update: new code for a job that runs.
#include "common/clock.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/update/code_update.h"

namespace millrace {
namespace {

struct UpdateFlags {
  std::string file;
  std::string name;
  std::string plugins;
  std::vector<std::string> sets;
  bool no_wait = false;
  absl::Duration timeout = absl::Seconds(60);
};

absl::StatusOr<JobSpec> LoadUpdate(const UpdateFlags& flags, CodeFiles& files) {
  std::vector<std::string> sets = flags.sets;
  if (!flags.name.empty()) {
    if (!IsValidName(flags.name)) {
      return absl::InvalidArgumentError(
          StrCat("--name ", flags.name,
                 " — a job's name is 1 to 64 letters, digits, _ and - — `coordinator jobs` lists them"));
    }
    sets.push_back(StrCat("name=\"", flags.name, "\""));
  }
  return LoadJob(flags.file, files, sets);
}

absl::Status CheckRuns(const Cluster& cluster, const JobRecord& job) {
  const FinalStatus* const final_status = cluster.FindFinal(job.uid);
  if (final_status == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat("cannot update `", job.name, "` — it is ", final_status->state,
             ", and nothing of it runs any more — submit the file as a job of another --name"));
}

bool IsPaused(const Cluster& cluster, const JobRecord& job) {
  const JobAssignment* const assigned = cluster.FindAssigned(job.uid);
  return assigned != nullptr && assigned->paused;
}

std::string DescribeUpdate(const JobRecord& job, const UpdateProgress& progress, uint64_t version) {
  return StrCat("`", job.name, "`: ", progress.done, " of ", progress.partitions, " partitions run version ",
                version);
}

// Until every partition has passed its mark. That the job ends meanwhile is as good: nothing waits any more.
absl::Status AwaitUpdate(Bus& bus, const JobRecord& job, uint64_t version, absl::Duration timeout) {
  const absl::Duration deadline = SystemClock().Monotonic() + timeout;
  std::string said;
  while (true) {
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    if (const FinalStatus* const final_status = cluster->FindFinal(job.uid)) {
      Say(StrCat("`", job.name, "` is ", final_status->state,
                 ": partitions that came to their end before the mark have not run version ", version));
      return absl::OkStatus();
    }
    if (IsPaused(*cluster, job)) {
      Say(StrCat("`", job.name, "` is paused: version ", version,
                 " is in force from its marks on when it is resumed"));
      return absl::OkStatus();
    }
    const UpdateProgress progress = ProgressOf(*cluster, job, version);
    if (const std::string line = DescribeUpdate(job, progress, version); line != said) Say(said = line);
    if (progress.done == progress.partitions) return absl::OkStatus();
    if (SystemClock().Monotonic() >= deadline) {
      return absl::DeadlineExceededError(StrCat(DescribeUpdate(job, progress, version), " after ",
                                                absl::FormatDuration(timeout), " — ", progress.waiting,
                                                " — it goes on by itself; the same command waits again"));
    }
    if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    SystemClock().Sleep(kClusterPollInterval);
  }
}

absl::Status Update(Bus& bus, const JobSpec& next, const UpdateFlags& flags) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, next.name);
  if (!job.ok()) return job.status();
  if (const absl::Status runs = CheckRuns(*cluster, *job); !runs.ok()) return runs;
  const auto made = UpdateCode(bus, *job, {&next, absl::ToUnixMillis(SystemClock().Now())});
  if (!made.ok()) return made.status();
  if (!made->is_new) {
    Say(StrCat("`", job->name, "`: version ", made->version, " of its code does what ", flags.file,
               " says; nothing to do"));
  } else {
    Say(StrCat("`", job->name, "`: version ", made->version, " of its code is made"));
  }
  if (flags.no_wait || made->version == 0) return absl::OkStatus();
  return AwaitUpdate(bus, *job, made->version, flags.timeout);
}

}  // namespace

int RunUpdate(const Arguments& arguments) {
  UpdateFlags wanted;
  CommandLine command(
      "coordinator update JOB.yaml [--name NAME] [--set PATH=VALUE]... [--plugins DIR] [--no-wait] "
      "[--timeout D]",
      "Gives a job that runs new code, and keeps its state: each partition goes on under it behind a mark in "
      "its "
      "log. What would not fit the state is refused, and nothing is changed.",
      "coordinator update delays.yaml");
  command.AddConnection();
  Flags& flags = command.flags();
  flags.Positional("JOB.yaml", &wanted.file);
  flags.Add("name", &wanted.name, "NAME", "the job's name, instead of the file's");
  flags.Add("set", &wanted.sets, "PATH=VALUE", "changes the job file: stages.0.filter='r.delay > 5'");
  AddPluginsFlag(flags, &wanted.plugins);
  flags.AddSwitch("no-wait", &wanted.no_wait, "do not wait until every partition runs it");
  flags.Add("timeout", &wanted.timeout, "how long to wait until every partition runs it (exit code 4)");
  if (const auto exit = command.Parse(arguments)) return *exit;
  CodeFiles files(wanted.plugins);
  const auto next = LoadUpdate(wanted, files);
  if (!next.ok()) return Fail(next.status());
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = Update(**bus, *next, wanted);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
