// verify: do the results follow from the input?
#include "common/clock.h"
#include "common/strings.h"
#include "common/value/json_text.h"
#include "coordinator/cli/checkpoint_store.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/verify/verifier.h"

namespace millrace {
namespace {

absl::StatusOr<VerifyReport> Verify(Bus& bus, const std::string& name, const std::string& plugins,
                                    BlobStore* checkpoints) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, name);
  if (!job.ok()) return job.status();
  CodeFiles files(plugins);
  const auto code = LoadJobCode(bus, *job, files);
  if (!code.ok()) return code.status();
  LocalHandlers handlers({.name = "verify", .check = CheckInterrupted}, SystemClock());
  return Verifier(bus, SystemClock(), *cluster, *job, *code, checkpoints, &handlers).Run();
}

}  // namespace

int RunVerify(const Arguments& arguments) {
  std::string job, checkpoints, plugins;
  CommandLine command("coordinator verify JOB [--checkpoints URL] [--plugins DIR] [-o table|json]",
                      "Replays a job's logs here and compares: results, labels, order, dead letters, state. "
                      "Exit code 1 when anything differs.",
                      "coordinator verify delays");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Positional("JOB", &job);
  AddCheckpointsFlag(command.flags(), &checkpoints);
  AddPluginsFlag(command.flags(), &plugins);
  if (const auto exit = command.Parse(arguments)) return *exit;
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const auto store = OpenCheckpoints(command, checkpoints);
  if (!store.ok()) return Fail(store.status());
  const auto report = Verify(**bus, job, plugins, store->get());
  if (!report.ok()) return Fail(report.status());
  const absl::Status written =
      WriteOut(command.json() ? JsonText(ToJson(*report, job), 2) + "\n" : ToText(*report));
  if (!written.ok()) return Fail(written);
  if (report->differences.count() == 0) return kExitDone;
  Say(StrCat("`", job, "` does not verify: ", report->differences.count(), " differences"));
  return kExitFailed;
}

}  // namespace millrace
