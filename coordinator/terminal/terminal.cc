#include "coordinator/terminal/terminal.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include "common/escape.h"
#include "common/signals.h"
#include "common/strings.h"

namespace millrace {

namespace {
constexpr int kSignalLookMs = 100;  // while nobody takes what is printed
}  // namespace

void Say(std::string_view line) {
  const std::string text = StrCat("coordinator: ", EscapeControls(line), "\n");
  std::fwrite(text.data(), 1, text.size(), stderr);
}

absl::Status CheckInterrupted() {
  if (StopSignals() > 0) return absl::CancelledError("interrupted");
  return absl::OkStatus();
}

absl::Status Confirm(std::string_view what, std::string_view question) {
  if (isatty(STDIN_FILENO) != 1) {
    return absl::InvalidArgumentError(StrCat(what, " — there is no terminal to ask on — try with --yes"));
  }
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return absl::OkStatus();
  return absl::AbortedError("nothing was deleted");
}

bool StdoutIsTerminal() { return isatty(STDOUT_FILENO) == 1; }

bool IsDumbTerminal() {
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) == "dumb";
}

bool UseColor() {
  const char* no_color = std::getenv("NO_COLOR");
  return StdoutIsTerminal() && !IsDumbTerminal() && (no_color == nullptr || *no_color == '\0');
}

absl::Status WriteOut(std::string_view text) {
  while (!text.empty()) {
    // A reader that takes nothing any more must not hold up Ctrl-C: a signal that comes before a write does not
    // wake it. So much at a time goes into a pipe that has room without waiting.
    pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    if (poll(&out, 1, kSignalLookMs) <= 0) {
      if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
      continue;
    }
    const ssize_t written = write(STDOUT_FILENO, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (written < 0 && errno == EINTR) {
      if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    } else if (written < 0 && errno == EPIPE) {
      return absl::CancelledError("standard output was closed");
    } else {
      return absl::InternalError(
          StrCat("cannot write to standard output — ", std::strerror(errno), " — is its disk full?"));
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
