// check, test: what can be said of a job file without a cluster.
#include <unistd.h>

#include "absl/strings/str_join.h"
#include "common/clock.h"
#include "common/job/segments.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_file.h"
#include "coordinator/local/call_watch.h"
#include "coordinator/local/job_test.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

absl::Status Test(const std::string& path, const std::string& plugins) {
  SetUpLogging("coordinator", LogLevel::kWarning, LogFormat::kText);  // standard output is for results
  CodeFiles files(plugins);
  const auto spec = LoadJob(path, files);
  if (!spec.ok()) return spec.status();
  if (spec->tests.empty()) {
    return absl::FailedPreconditionError(StrCat(
        path, " has no `tests:` — nothing was tested — `coordinator try` shows what it does with a file"));
  }
  const bool color = UseColor();
  const TestSpec* running = nullptr;
  CallWatch::Options watched;
  watched.stop_asked = [] { return StopSignals() > 0; };
  watched.give_up = [&](CallWatch::Why why, const std::string& stage, absl::Duration timeout) {
    if (why == CallWatch::Why::kInterrupted) _exit(kExitInterrupted);
    Say(StrCat(path, ":", running->line, ": test `", running->name,
               "`: ", DescribeGivenUp(why, stage, timeout)));
    _exit(kExitFailed);
  };
  CallWatch watch(SystemClock(), std::move(watched));
  watch.Start();
  LocalHandlers handlers({.name = "test", .check = CheckInterrupted}, SystemClock());
  size_t failed = 0;
  for (const TestSpec& test : spec->tests) {
    if (const absl::Status stopped = CheckInterrupted(); !stopped.ok()) return stopped;
    running = &test;
    const auto outcome = RunJobTest(*spec, test, &watch, &handlers);
    if (absl::IsUnavailable(outcome.status())) return outcome.status();
    if (!outcome.ok()) {
      return absl::InvalidArgumentError(StrCat(path, ": ", ToStd(outcome.status().message())));
    }
    if (!outcome->passed) ++failed;
    const std::string word = outcome->passed ? (color ? "\x1b[32mok\x1b[0m    " : "ok    ")
                                             : (color ? "\x1b[31mFAIL\x1b[0m  " : "FAIL  ");
    const absl::Status status =
        WriteOut(StrCat(word, test.name, " (", path, ":", test.line, ")\n", outcome->report));
    if (!status.ok()) return status;
  }
  if (failed == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat(failed, " of ", spec->tests.size(), " tests of ", path, " differ"));
}

std::string Counted(size_t count, std::string_view thing) {
  return StrCat(count, " ", thing, count == 1 ? "" : "s");
}

}  // namespace

int RunCheck(const Arguments& arguments) {
  std::string path, plugins;
  CommandLine command("coordinator check JOB.yaml [--plugins DIR]",
                      "Says whether a job file is right, and where it is not.",
                      "coordinator check delays.yaml");
  command.flags().Positional("JOB.yaml", &path);
  AddPluginsFlag(command.flags(), &plugins);
  if (const auto exit = command.Parse(arguments)) return *exit;
  CodeFiles files(plugins);
  const auto spec = LoadJob(path, files);
  if (!spec.ok()) return Fail(spec.status());
  const absl::Status status =
      WriteOut(StrCat(path, ": job `", spec->name, "`, ", Counted(spec->stages.size(), "stage"), ", ",
                      absl::StrJoin(PartitionsBySegment(*spec), " + "), " partitions, ",
                      Counted(spec->tests.size(), "test"), ": ok\n"));
  return status.ok() ? kExitDone : Fail(status);
}

int RunTest(const Arguments& arguments) {
  std::string path, plugins;
  CommandLine command("coordinator test JOB.yaml [--plugins DIR]",
                      "Runs the job file's own `tests:` here. Exit code 1 when a result differs.",
                      "coordinator test delays.yaml");
  command.flags().Positional("JOB.yaml", &path);
  AddPluginsFlag(command.flags(), &plugins);
  if (const auto exit = command.Parse(arguments)) return *exit;
  const absl::Status status = Test(path, plugins);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
