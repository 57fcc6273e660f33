// A child process with its output piped to us. It dies with us, however we end.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace millrace {

// Not thread-safe. The process that starts one has no other threads, and starts it on its main thread: the
// kernel ends the child when that thread ends.
class Process {
 public:
  // `arguments`: the executable's path first. Its standard input is empty; it leads a process group of its
  // own, so that a Ctrl-C on the terminal reaches only us.
  static absl::StatusOr<std::unique_ptr<Process>> Start(const std::vector<std::string>& arguments);
  // Kills what still runs, and waits for it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  int output_fd() const { return output_fd_; }
  // Takes what the child has written to standard output and error, a line a call. Never blocks.
  void ReadLines(const std::function<void(const std::string&)>& line);
  void Signal(int number);
  // Null while it runs; then how it ended: "was killed by signal 9", "ended with exit code 1".
  std::optional<std::string> HowItEnded();

 private:
  Process(pid_t pid, int output_fd) : pid_(pid), output_fd_(output_fd) {}

  const pid_t pid_;
  const int output_fd_;
  std::string partial_line_;
  std::optional<std::string> end_;
};

}  // namespace millrace
