// The commands by name: what the dispatch, the help and the shell completion go by.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/commands.h"

namespace millrace {

struct CommandEntry {
  std::string name;
  std::string help;  // one line
  int (*run)(const Arguments& arguments);
  std::vector<std::string> subcommands;
};

// In the order of the help.
const std::vector<CommandEntry>& CommandTable();
// Null when there is none of that name.
const CommandEntry* FindCommand(std::string_view name);

}  // namespace millrace
