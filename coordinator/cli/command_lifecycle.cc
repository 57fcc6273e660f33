// pause, resume, cancel, delete.
#include "common/clock.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_commands.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

constexpr absl::Duration kDefaultTimeout = absl::Seconds(30);

struct Words {
  JobVerb verb;
  const char* what;
  const char* done;
};

int RunVerb(const Arguments& arguments, const Words& words) {
  std::string job;
  absl::Duration timeout = kDefaultTimeout;
  const std::string name = VerbName(words.verb);
  CommandLine command(StrCat("coordinator ", name, " JOB [--timeout D]"), words.what,
                      StrCat("coordinator ", name, " delays"));
  command.AddConnection();
  command.flags().Positional("JOB", &job);
  command.flags().Add("timeout", &timeout, "how long to wait until it is done");
  if (const auto exit = command.Parse(arguments)) return *exit;
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = ApplyVerb(**bus, SystemClock(), job, words.verb, {timeout});
  if (!status.ok()) return Fail(status);
  Say(StrCat("`", job, "` ", words.done));
  return kExitDone;
}

struct DeleteRequest {
  std::string job;
  bool yes = false;
  absl::Duration timeout = kDefaultTimeout;
};

absl::Status Delete(Bus& bus, const DeleteRequest& request) {
  auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  if (!request.yes) {
    const absl::Status sure =
        Confirm(StrCat("delete `", request.job, "`"),
                StrCat("Delete job `", request.job, "` with its input, results and dead letters?"));
    if (!sure.ok()) return sure;
  }
  if (cluster->FindFinal(job->uid) == nullptr) {
    Say(StrCat("`", job->name, "` runs: cancelling it first"));
    const absl::Status status = CancelToDelete(bus, SystemClock(), *job, {request.timeout});
    // It may have ended by itself meanwhile: as good.
    if (!status.ok() && !absl::IsFailedPrecondition(status)) return status;
  }
  const absl::Status let_go = WaitUntilLetGo(bus, SystemClock(), *job, {request.timeout});
  if (!let_go.ok()) return let_go;
  return DeleteJobInFullStore(bus, SystemClock(), *job, {request.timeout});
}

}  // namespace

int RunPause(const Arguments& arguments) {
  return RunVerb(
      arguments,
      {JobVerb::kPause, "Lets a job rest: its workers keep their partitions, and stand still.", "is paused"});
}

int RunResume(const Arguments& arguments) {
  return RunVerb(arguments, {JobVerb::kResume, "Lets a paused job go on where it stands.", "runs"});
}

int RunCancel(const Arguments& arguments) {
  return RunVerb(arguments, {JobVerb::kCancel, "Ends a job before its input does. Its results so far stay.",
                             "is cancelled"});
}

int RunDelete(const Arguments& arguments) {
  DeleteRequest request;
  CommandLine command(
      "coordinator delete JOB [--yes] [--timeout D]",
      "Deletes a job with its input, results and dead letters; one that runs is cancelled first.",
      "coordinator delete delays --yes");
  command.AddConnection();
  command.flags().Positional("JOB", &request.job);
  command.flags().AddSwitch("yes", &request.yes, "do not ask");
  command.flags().Add("timeout", &request.timeout, "how long to wait until its workers have let go");
  if (const auto exit = command.Parse(arguments)) return *exit;
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = Delete(**bus, request);
  if (!status.ok()) return Fail(status);
  Say(StrCat("`", request.job, "` is deleted"));
  return kExitDone;
}

}  // namespace millrace
