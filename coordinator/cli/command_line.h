// What the commands share: their flags, the connection, and how a Status becomes a line and an exit code.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/exit_codes.h"
#include "common/flags.h"

namespace millrace {

// One command's command line. Not thread-safe.
class CommandLine {
 public:
  CommandLine(const std::string& usage, const std::string& what, const std::string& example);

  Flags& flags() { return flags_; }
  // Adds `-o, --output` with these choices; the first is the default.
  void AddOutput(const std::vector<std::string>& choices);
  // The choice made. REQUIRES: AddOutput was called.
  const std::string& output() const { return output_; }
  bool json() const { return output_ == "json"; }

  // Adds --nats and its companions; commands that work without a cluster do not call it.
  void AddConnection();

  // An exit code when the command is over already: --help, or a wrong argument, which has been said.
  std::optional<int> Parse(const std::vector<std::string>& arguments);

  // REQUIRES: AddConnection, Parse.
  absl::StatusOr<std::unique_ptr<Bus>> Connect() const;

 private:
  Flags flags_;
  CommonOptions common_;
  bool connects_ = false;
  std::string output_;
};

// Exit codes by what the caller can do; see the table in common/exit_codes.h.
int ExitCodeOf(const absl::Status& status);

// Says an error in one line on standard error, and gives its exit code.
int Fail(const absl::Status& status);

}  // namespace millrace
