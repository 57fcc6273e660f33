// What the commands share: their flags, the connection, how a Status becomes a line and an exit code, and how
// a terminal is told from a pipe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

// One line for people on standard error: `coordinator: …`, control characters escaped.
void Say(std::string_view line);

// CANCELLED when a stop signal came: for loops that may run long.
absl::Status CheckInterrupted();

// OK when the person at the terminal says yes to `question`. INVALID_ARGUMENT where there is no terminal: a
// script says --yes. `what`: the command, for the message.
absl::Status Confirm(std::string_view what, std::string_view question);

bool StdoutIsTerminal();
// Whether the terminal obeys no escape sequences (TERM=dumb).
bool IsDumbTerminal();
// Whether standard output may have colour: a terminal, and NO_COLOR is not set (https://no-color.org).
bool UseColor();

// Writes all of `text` to standard output. CANCELLED when the reader has gone (a closed pipe).
absl::Status WriteOut(std::string_view text);

}  // namespace millrace
