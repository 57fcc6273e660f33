// The person at the terminal, or the pipe in its place: what is said, asked and written there, and whether a
// stop was asked for.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace millrace {

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
