// The coordinator: a service and a command line. The first argument names the command.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "common/exit_codes.h"
#include "common/process.h"
#include "common/signals.h"
#include "common/strings.h"
#include "common/units.h"
#include "common/version.h"
#include "coordinator/cli/command_table.h"
#include "coordinator/terminal/terminal.h"

namespace {

using millrace::CommandEntry;

std::string HelpText() {
  std::string text =
      "coordinator: submits, runs and looks after Millrace jobs.\n\nUsage: coordinator COMMAND "
      "[ARGUMENT...]\n\n"
      "Commands:\n";
  size_t width = 0;
  for (const CommandEntry& entry : millrace::CommandTable()) width = std::max(width, entry.name.size());
  for (const CommandEntry& entry : millrace::CommandTable()) {
    millrace::StrAppend(&text, "  ", entry.name, std::string(width + 2 - entry.name.size(), ' '), entry.help,
                        "\n");
  }
  return text +
         "\n`coordinator COMMAND --help` says more. --nats URL (or NATS_URL) names the broker; every flag "
         "can also\n"
         "come from the environment (--lease-ttl is MILLRACE_LEASE_TTL) or from a file (--config FILE).\n\n"
         "Example: coordinator status delays --watch\n";
}

int UnknownCommand(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandEntry& entry : millrace::CommandTable()) names.push_back(entry.name);
  const std::string near = millrace::NearMiss(name, names);
  millrace::Say(millrace::StrCat("no command `", name, "`",
                                 near.empty() ? std::string(" — try `coordinator --help`")
                                              : millrace::StrCat(" — did you mean `", near, "`?")));
  return millrace::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  millrace::SetUpProcess();
  millrace::CatchStopSignals();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) {
    millrace::Say("no command — the first argument names one — try `coordinator --help`");
    return millrace::kExitUsage;
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    std::fputs(HelpText().c_str(), stdout);
    return millrace::kExitDone;
  }
  if (name == "--version") {
    std::fputs(millrace::StrCat("coordinator ", millrace::kVersion, "\n").c_str(), stdout);
    return millrace::kExitDone;
  }
  const CommandEntry* entry = millrace::FindCommand(name);
  if (entry == nullptr) return UnknownCommand(name);
  return entry->run({arguments.begin() + 1, arguments.end()});
}
