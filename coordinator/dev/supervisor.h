// Children that are kept running: one that dies is started again, after a wait that grows to a bound.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "coordinator/dev/process.h"

namespace millrace {

struct ChildOptions {
  std::string name;                    // in messages and before each line of its output
  std::vector<std::string> arguments;  // the executable's path first
  // Which of its lines are shown; all when empty.
  std::function<bool(const std::string&)> shows;
};

// Not thread-safe; see Process.
class Supervisor {
 public:
  // `say` takes one line for people.
  Supervisor(Clock& clock, std::function<void(const std::string&)> say)
      : clock_(clock), say_(std::move(say)) {}

  absl::Status Start(ChildOptions options);
  // Waits for a moment for something to happen; passes output on and starts again what has died.
  void Turn();
  // The newest started child of the name; 0: none runs.
  pid_t PidOf(const std::string& name) const;
  // How often any child had to be started again.
  int restarts() const { return restarts_; }
  // Asks these to end and waits; kills what does not within `patience`, or at a second stop signal.
  void Stop(const std::vector<std::string>& names, absl::Duration patience);

 private:
  struct Child {
    ChildOptions options;
    std::unique_ptr<Process> process;  // null: waits to be started again
    int attempt = 0;                   // since it last ran for long
    pid_t last_pid = 0;
    std::string last_end;
    absl::Duration started_at, start_at;
  };
  void PassOn(Child& child);
  void LookAfter(Child& child);
  void StartAgain(Child& child);
  void Wait();

  Clock& clock_;
  const std::function<void(const std::string&)> say_;
  std::vector<Child> children_;
  int restarts_ = 0;
};

}  // namespace millrace
