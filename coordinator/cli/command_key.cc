#include "coordinator/cli/command_key.h"

#include "common/names.h"
#include "common/strings.h"

namespace millrace {

absl::Status MakeCommandKey(Bus& bus, const std::string& prefix, uint64_t used, const Command& command) {
  const std::string document = Encode(command);
  for (int i = 1; i <= kMaxCommandTries; ++i) {
    const auto made =
        bus.CreateKey(kAssignmentsBucket, StrCat(prefix, used + static_cast<uint64_t>(i)), document);
    if (!absl::IsAlreadyExists(made.status())) return made.status();
  }
  return absl::AbortedError(StrCat("cannot ask to ", command.verb, " — ", kMaxCommandTries,
                                   " others ask at the same time — try again"));
}

}  // namespace millrace
