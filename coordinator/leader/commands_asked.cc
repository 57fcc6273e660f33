#include "coordinator/leader/commands_asked.h"

#include <algorithm>

namespace millrace {

void CommandsAsked::Add(uint64_t number, const KeyValue& entry) {
  greatest = std::max(greatest, number);
  if (revision > entry.revision) return;
  revision = entry.revision;
  last = DecodeCommand(entry.value).value_or(Command());
}

}  // namespace millrace
