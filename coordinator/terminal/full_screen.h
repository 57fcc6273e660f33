// A terminal's whole screen, for a view that is drawn again and again.
#pragma once

#include <termios.h>

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace millrace {

// Takes the screen, and gives it back as it was. Keys are taken one by one, without being shown, where standard input
// is a terminal. Not thread-safe; one at a time.
class FullScreen {
 public:
  // REQUIRES: standard output is a terminal that obeys escape sequences.
  FullScreen();
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  // As many lines as there is room for; longer ones are cut at the edge.
  absl::Status Show(std::string_view text);
  // Whether `q` was pressed within `wait`. Comes back early when a signal came.
  bool WaitForQuit(absl::Duration wait);

 private:
  std::optional<termios> before_;  // of standard input
};

}  // namespace millrace
