// drain: a worker without partitions.
#include "common/clock.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/worker_commands.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {
constexpr absl::Duration kDefaultDrainWait = absl::Minutes(1);
}

int RunDrain(const Arguments& arguments) {
  std::string worker;
  bool undo = false;
  absl::Duration timeout = kDefaultDrainWait;
  CommandLine command(
      "coordinator drain WORKER [--undo] [--timeout D]",
      "Empties a worker: its partitions go to the others, and it gets nothing more until this is "
      "undone or its process is started again.",
      "coordinator drain worker-1");
  command.AddConnection();
  command.flags().Positional("WORKER", &worker);
  command.flags().AddSwitch("undo", &undo, "let it serve again");
  command.flags().Add("timeout", &timeout, "how long to wait until it is done");
  if (const auto exit = command.Parse(arguments)) return *exit;
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const DrainVerb verb = undo ? DrainVerb::kUndo : DrainVerb::kDrain;
  const absl::Status status = ApplyDrain(**bus, SystemClock(), worker, verb, timeout);
  if (!status.ok()) return Fail(status);
  Say(StrCat("worker `", worker, "` ", undo ? "serves" : "is empty"));
  return kExitDone;
}

}  // namespace millrace
