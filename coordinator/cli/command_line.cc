#include "coordinator/cli/command_line.h"

#include "absl/strings/str_join.h"
#include "common/bus/nats_flags.h"
#include "common/clock.h"
#include "common/strings.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {

CommandLine::CommandLine(const std::string& usage, const std::string& what, const std::string& example)
    : flags_(usage, what, example) {}

void CommandLine::AddOutput(const std::vector<std::string>& choices) {
  output_ = choices.front();
  flags_.AddChoice("output", &output_, absl::StrJoin(choices, "|"), choices, "how to print");
  flags_.AddShort('o', "output");
}

void CommandLine::AddConnection() {
  connects_ = true;
  common_.log_level = "warning";
  common_.AddTo(flags_);
}

std::optional<int> CommandLine::Parse(const std::vector<std::string>& arguments) {
  // One config file serves all commands; those that work without a cluster pass over what it says of the connection.
  if (!connects_) {
    Flags connection("", "", "");
    common_.AddTo(connection);
    flags_.AcceptInConfig(connection);
  }
  const auto outcome = flags_.Parse(arguments);
  if (!outcome.ok()) return Fail(outcome.status());
  if (!outcome->proceed) return outcome->exit_code;
  if (connects_) {
    if (const absl::Status status = common_.Apply("coordinator"); !status.ok()) return Fail(status);
  }
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<Bus>> CommandLine::Connect() const {
  return ConnectNats(NatsOptionsOf(common_, "millrace-coordinator-cli"), SystemClock());
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitDone;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNoSuchThing;
    case absl::StatusCode::kDeadlineExceeded:
      return kExitTimedOut;
    case absl::StatusCode::kUnavailable:
      return kExitCannotConnect;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:
      return kExitFailed;
  }
}

int Fail(const absl::Status& status) {
  // A pipe whose reader left (`… | head`) and Ctrl-C need no words.
  if (!absl::IsCancelled(status)) Say(ToStd(status.message()));
  return ExitCodeOf(status);
}

}  // namespace millrace
