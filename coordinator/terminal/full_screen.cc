#include "coordinator/terminal/full_screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

// ECMA-48 and xterm's: another screen, no cursor, lines that do not wrap; and back.
constexpr std::string_view kTakeScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kGiveBack = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kRestOfLine = "\x1b[K";
constexpr std::string_view kRestOfScreen = "\x1b[J";
constexpr size_t kUsualLines = 24;

size_t LinesOfTerminal() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : kUsualLines;
}

}  // namespace

FullScreen::FullScreen() {
  termios keys{};
  if (isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &keys) == 0) {
    before_ = keys;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  WriteOut(kTakeScreen).IgnoreError();
}

FullScreen::~FullScreen() {
  WriteOut(kGiveBack).IgnoreError();
  if (before_.has_value()) tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

absl::Status FullScreen::Show(std::string_view text) {
  std::string drawn(kHome);
  for (size_t left = LinesOfTerminal(); left > 0 && !text.empty(); --left) {
    const size_t end = std::min(text.find('\n'), text.size());
    drawn.append(text.substr(0, end)).append(kRestOfLine);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (left > 1 && !text.empty()) drawn += "\r\n";
  }
  drawn += kRestOfScreen;
  return WriteOut(drawn);
}

bool FullScreen::WaitForQuit(absl::Duration wait) {
  if (!before_.has_value()) {
    poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(wait)));
    return false;
  }
  pollfd keys = {STDIN_FILENO, POLLIN, 0};
  if (poll(&keys, 1, static_cast<int>(absl::ToInt64Milliseconds(wait))) <= 0) return false;
  char key = 0;
  if (read(STDIN_FILENO, &key, 1) != 1) before_.reset();
  return key == 'q' || key == 'Q';
}

}  // namespace millrace
