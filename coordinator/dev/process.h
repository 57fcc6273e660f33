// A child process with its output piped to us, or in a file. It dies with us, however we end.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace {

struct ProcessOptions {
  std::vector<std::string> arguments;    // the executable's path first
  std::vector<std::string> environment;  // NAME=VALUE, in place of ours of that name
  std::string log_file;                  // where its output is appended; empty: it is piped to us
  std::string output_file;               // its standard output alone, from the start on; empty: as above
  int input_fd = -1;                     // its standard input, which stays the caller's; -1: empty
};

// Not thread-safe. Started on the main thread: the kernel ends the child when the thread that made it ends.
class Process {
 public:
  // It leads a process group of its own, so that a Ctrl-C on the terminal reaches only us, and inherits no
  // file that we have open.
  static absl::StatusOr<std::unique_ptr<Process>> Start(const ProcessOptions& options);
  static absl::StatusOr<std::unique_ptr<Process>> Start(const std::vector<std::string>& arguments) {
    return Start(ProcessOptions{arguments, {}, "", "", -1});
  }
  // Kills what still runs, and waits for it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  int output_fd() const { return output_fd_; }  // -1: into a file
  // Takes what the child has written to standard output and error, a line a call. Never blocks.
  void ReadLines(const std::function<void(const std::string&)>& line);
  void Signal(int number);
  // Null while it runs; then how it ended: "was killed by signal 9", "ended with exit code 1".
  std::optional<std::string> HowItEnded();
  // What ended it, once HowItEnded says that it has: 0 for none of its kind.
  int ending_signal() const { return ending_signal_; }
  int exit_code() const { return exit_code_; }

 private:
  Process(pid_t pid, int output_fd) : pid_(pid), output_fd_(output_fd) {}

  const pid_t pid_;
  const int output_fd_;
  std::string partial_line_;
  std::optional<std::string> end_;
  int ending_signal_ = 0;
  int exit_code_ = 0;
};

}  // namespace millrace
