// copy: a job's input once more, in another number of partitions.
#include "common/clock.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/copy/job_copy.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {

int RunCopy(const Arguments& arguments) {
  CopyRequest request;
  bool wait = false;
  absl::Duration timeout = absl::InfiniteDuration();
  CommandLine command(
      "coordinator copy JOB NEW [--partitions N] [--set PATH=VALUE]... [--plugins DIR] [--wait] "
      "[--timeout D]",
      "Makes the job NEW of the input of JOB, as its logs hold it, in another number of partitions: each "
      "record "
      "once, in order for each key, with its time. JOB's input must have ended, and its logs be whole. NEW "
      "runs "
      "the code in force now from the first record on; records that were dead letters are handled anew, "
      "lines "
      "that were no records are not in the logs. Run again after an interruption, it goes on where it was. "
      "Afterwards NEW needs JOB no more.",
      "coordinator copy delays delays-2 --partitions 48 --wait");
  Flags& flags = command.flags();
  flags.Positional("JOB", &request.job);
  flags.Positional("NEW", &request.name);
  flags.Add("partitions", &request.partitions, "N",
            "of the copy's first segment; as many as JOB has without");
  flags.Add("set", &request.sets, "PATH=VALUE", "changes the job file: key=carrier, stages.1.partitions=8");
  AddPluginsFlag(flags, &request.plugins);
  flags.AddSwitch("wait", &wait, "wait until the copy has ended");
  flags.Add("timeout", &timeout, "give up after this long (exit code 4)");
  command.AddOutput({"text", "json"});
  command.AddConnection();
  if (const auto exit = command.Parse(arguments)) return *exit;
  const FeedLimits limits = {SystemClock().Monotonic(), timeout};
  if (const absl::Status fit = CheckCopyRequest(request); !fit.ok()) return Fail(fit);
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  JobCopy copy(request, limits, **bus, SystemClock());
  absl::Status done = copy.Run();
  if (done.ok() && wait) done = copy.WaitForEnd();
  if (!done.ok()) return Fail(done);
  if (command.json()) {
    if (const absl::Status written = WriteOut(copy.feed().Json()); !written.ok()) return Fail(written);
  }
  return copy.feed().ExitCode();
}

}  // namespace millrace
