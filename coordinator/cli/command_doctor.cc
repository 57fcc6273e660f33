// doctor: what, why, try.
#include <algorithm>

#include "common/clock.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/doctor/doctor.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

std::string ToText(const std::vector<Finding>& findings, bool color) {
  std::string text;
  for (const Finding& finding : findings) {
    const char* const words[] = {"ok  ", "warn", "fail"};
    const char* const colors[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m"};
    const auto level = static_cast<size_t>(finding.level);
    StrAppend(&text, color ? colors[level] : "", words[level], color ? "\x1b[0m" : "", "  ", finding.what);
    if (!finding.why.empty()) StrAppend(&text, " — ", finding.why);
    // An error that was met says itself what to try.
    const bool says_try = finding.why.find(" try ") != std::string::npos;
    if (!finding.why.empty() && !says_try) StrAppend(&text, " — try: ", finding.try_this);
    text += '\n';
  }
  return text;
}

}  // namespace

int RunDoctor(const Arguments& arguments) {
  std::string data_dir = ".";
  CommandLine command("coordinator doctor [--data DIR] [-o table|json]",
                      "Is this NATS, disk, clock and process fit for the promises? Exit code 1 when not.",
                      "coordinator doctor --data /var/lib/millrace");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Add("data", &data_dir, "DIR", "where workers here would keep their state");
  if (const auto exit = command.Parse(arguments)) return *exit;
  DoctorFacts facts;
  const auto bus = command.Connect();
  if (bus.ok()) {
    ExamineBroker(**bus, SystemClock(), &facts);
  } else {
    facts.connect_error = std::string(ToStd(bus.status().message()));
    facts.lacks_jetstream = absl::IsFailedPrecondition(bus.status());
  }
  ExamineMachine(data_dir, &facts);
  const std::vector<Finding> findings = Judge(facts);
  const absl::Status written =
      WriteOut(command.json() ? ToJson(findings).dump(2) + "\n" : ToText(findings, UseColor()));
  if (!written.ok()) return Fail(written);
  if (!bus.ok() && !facts.lacks_jetstream) return ExitCodeOf(bus.status());
  const bool failed = std::any_of(findings.begin(), findings.end(),
                                  [](const Finding& f) { return f.level == Finding::Level::kFail; });
  return failed ? kExitFailed : kExitDone;
}

}  // namespace millrace
