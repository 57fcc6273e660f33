// Which workers are to be empty: a pure decision over the commands given to them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/cluster/documents.h"
#include "coordinator/leader/cluster_view.h"
#include "coordinator/leader/commands_asked.h"

namespace millrace {

// What was asked of a worker.
struct DrainAsked : CommandsAsked {
  // A drain holds for the process that it names: one that rejoins after losing its lease stays empty, one that
  // was started again serves.
  bool Drains(const std::string& process) const {
    return last.verb == kDrainVerb && !process.empty() && process == last.process;
  }
  static constexpr char kDrainVerb[] = "drain";
  static constexpr char kUndoVerb[] = "undrain";
};

// By worker, of the commands `drain.<worker>.<n>`.
std::map<std::string, DrainAsked> DrainCommands(const Entries& assignments);

// In order of name. `process_of` answers the process behind a worker's name, or nothing when it is not alive.
std::vector<std::string> DrainedWorkers(const Entries& assignments,
                                        const std::function<std::string(const std::string&)>& process_of);

}  // namespace millrace
