#include "coordinator/leader/drain_commands.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "common/names.h"

namespace millrace {

std::map<std::string, DrainAsked> DrainCommands(const Entries& assignments) {
  std::map<std::string, DrainAsked> commands;
  for (auto it = assignments.lower_bound(kDrainPrefix);
       it != assignments.end() && absl::StartsWith(it->first, kDrainPrefix); ++it) {
    const size_t name = sizeof(kDrainPrefix) - 1;
    const size_t dot = it->first.rfind('.');
    uint64_t number = 0;
    if (it->second.deleted || dot <= name || !absl::SimpleAtoi(it->first.substr(dot + 1), &number)) continue;
    commands[it->first.substr(name, dot - name)].Add(number, it->second);
  }
  return commands;
}

std::vector<std::string> DrainedWorkers(const Entries& assignments,
                                        const std::function<std::string(const std::string&)>& process_of) {
  std::vector<std::string> drained;
  for (const auto& [name, asked] : DrainCommands(assignments)) {
    if (asked.Drains(process_of(name))) drained.push_back(name);
  }
  return drained;
}

}  // namespace millrace
