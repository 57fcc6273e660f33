// jobs, status, partitions, workers: the views, as tables or as JSON.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/strings.h"
#include "common/units.h"
#include "common/value/json_text.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/table.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/views/views.h"

namespace millrace {
namespace {

constexpr absl::Duration kWatchInterval = absl::Seconds(1);
constexpr absl::Duration kWatchStep = absl::Milliseconds(100);  // between looks at signals

absl::Status Print(const ViewJson& rows, const std::vector<TableColumn>& columns,
                   const CommandLine& command) {
  if (command.json()) return WriteOut(JsonText(rows, 2) + "\n");
  return WriteOut(FormatTable(columns, rows, UseColor() ? TableStyle::kColor : TableStyle::kPlain));
}

constexpr size_t kStatusValueColumn = 15;  // where `status` puts values: behind the longest name

int64_t NowMs() { return absl::ToUnixMillis(SystemClock().Now()); }

std::string StateText(const ViewJson& segment) {
  if (segment["state_keys"].is_null()) return "nobody says any more how much state";
  return StrCat(segment["state_keys"].dump(), " keys, ", FormatSize(segment["state_bytes"].get<uint64_t>()),
                " of state");
}

// What is said in several fields (a source, a sink) stands in one line, as `to out.jsonl, records 12`.
std::string ValueText(const ViewJson& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return JsonText(value);
  std::vector<std::string> said;
  for (const auto& [name, field] : value.items()) {
    if (std::string text = ValueText(field); !text.empty()) said.push_back(StrCat(name, " ", text));
  }
  return absl::StrJoin(said, ", ");
}

std::string StatusText(const ViewJson& view) {
  std::string text;
  for (const auto& [name, value] : view.items()) {
    if (value.is_null() || value.is_array() || (value.is_object() && value.empty())) continue;
    const std::string shown = EscapeControls(ValueText(value));
    if (shown.empty()) continue;
    StrAppend(&text, name,
              std::string(name.size() < kStatusValueColumn ? kStatusValueColumn - name.size() : 1, ' '),
              shown, "\n");
  }
  for (const auto& segment : view["segments"]) {
    StrAppend(&text, "segment ", segment["segment"].dump(), "      ", segment["owned"].dump(), " of ",
              segment["partitions"].dump(), " partitions owned, ", StateText(segment), "\n");
  }
  return text;
}

struct StatusRequest {
  std::string job;
  bool watch = false;
};

bool IsOver(const ViewJson& view) {
  const std::string state = view["state"];
  return state == "completed" || state == "failed" || state == "cancelled";
}

absl::StatusOr<ViewJson> ReadStatus(Bus& bus, const std::string& name) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, name);
  if (!job.ok()) return job.status();
  const auto logs = ReadPartitionLogs(bus, *cluster, *job);
  if (!logs.ok()) return logs.status();
  return StatusView(*cluster, *job, *logs, NowMs());
}

absl::Status ShowStatus(Bus& bus, const StatusRequest& request, const CommandLine& command) {
  while (true) {
    const auto view = ReadStatus(bus, request.job);
    if (!view.ok()) return view.status();
    // A watched table replaces itself on a terminal; JSON is one document a line then.
    std::string text =
        command.json() ? JsonText(*view, request.watch ? kOneLine : 2) + "\n" : StatusText(*view);
    if (request.watch && !command.json())
      text = StrCat(StdoutIsTerminal() && !IsDumbTerminal() ? "\x1b[H\x1b[2J" : "", text, "\n");
    if (const absl::Status status = WriteOut(text); !status.ok()) return status;
    if (!request.watch || IsOver(*view)) return absl::OkStatus();
    for (absl::Duration waited; waited < kWatchInterval; waited += kWatchStep) {
      if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
      SystemClock().Sleep(kWatchStep);
    }
  }
}

absl::Status ShowPartitions(Bus& bus, const std::string& name, const CommandLine& command) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, name);
  if (!job.ok()) return job.status();
  const auto logs = ReadPartitionLogs(bus, *cluster, *job);
  if (!logs.ok()) return logs.status();
  return Print(PartitionsView(*cluster, *job, *logs, NowMs()),
               {{"segment", "SEGMENT"},
                {"partition", "PARTITION"},
                {"owner", "OWNER"},
                {"standby", "STANDBY"},
                {"epoch", "EPOCH"},
                {"offset", "OFFSET"},
                {"end", "END"},
                {"lag_records", "LAG"},
                {"oldest_ms", "OLDEST MS"},
                {"committed_ms_ago", "COMMITTED MS AGO"},
                {"state_keys", "KEYS"},
                {"state_bytes", "STATE BYTES"},
                {"code", "CODE"},
                {"state", "STATE"},
                {"reason", "REASON"}},
               command);
}

template <typename Show>
int WithBus(const CommandLine& command, const Show& show) {
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = show(**bus);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace

int RunJobs(const Arguments& arguments) {
  CommandLine command("coordinator jobs [-o table|json]", "Lists the jobs.", "coordinator jobs -o json");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  if (const auto exit = command.Parse(arguments)) return *exit;
  return WithBus(command, [&](Bus& bus) -> absl::Status {
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    return Print(JobsView(*cluster),
                 {{"job", "JOB"},
                  {"state", "STATE"},
                  {"partitions", "PARTITIONS"},
                  {"records_in", "RECORDS IN"},
                  {"records_out", "RECORDS OUT"},
                  {"dead_letters", "DEAD LETTERS"},
                  {"started", "STARTED"},
                  {"ended", "ENDED"},
                  {"reason", "REASON"}},
                 command);
  });
}

int RunStatus(const Arguments& arguments) {
  StatusRequest request;
  CommandLine command("coordinator status JOB [--watch] [-o table|json]",
                      "Says how a job is doing: state, records, lag.", "coordinator status delays --watch");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Positional("JOB", &request.job);
  command.flags().AddSwitch("watch", &request.watch, "look again every second until the job is over");
  if (const auto exit = command.Parse(arguments)) return *exit;
  return WithBus(command, [&](Bus& bus) { return ShowStatus(bus, request, command); });
}

int RunPartitions(const Arguments& arguments) {
  std::string job;
  CommandLine command("coordinator partitions JOB [-o table|json]",
                      "Lists a job's partitions: who owns them and how far they are.",
                      "coordinator partitions delays -o json");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Positional("JOB", &job);
  if (const auto exit = command.Parse(arguments)) return *exit;
  return WithBus(command, [&](Bus& bus) { return ShowPartitions(bus, job, command); });
}

int RunWorkers(const Arguments& arguments) {
  CommandLine command("coordinator workers [-o table|json]",
                      "Lists the workers that have a lease, or had one and were lost.",
                      "coordinator workers -o json");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  if (const auto exit = command.Parse(arguments)) return *exit;
  return WithBus(command, [&](Bus& bus) -> absl::Status {
    const auto cluster = ReadCluster(bus);
    if (!cluster.ok()) return cluster.status();
    return Print(WorkersView(*cluster),
                 {{"name", "NAME"},
                  {"state", "STATE"},
                  {"partitions", "PARTITIONS"},
                  {"zone", "ZONE"},
                  {"lanes", "LANES"},
                  {"cpu", "CPU"},
                  {"memory_bytes", "MEMORY BYTES"},
                  {"lease_ms_left", "LEASE MS LEFT"},
                  {"host", "HOST"},
                  {"pid", "PID"},
                  {"version", "VERSION"},
                  {"incarnation", "INCARNATION"}},
                 command);
  });
}

}  // namespace millrace
