// top: the cluster at a glance, again and again.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/escape.h"
#include "common/strings.h"
#include "common/units.h"
#include "common/value/json_text.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/table.h"
#include "coordinator/terminal/full_screen.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/views/top_view.h"

namespace millrace {
namespace {

constexpr absl::Duration kLeastInterval = absl::Milliseconds(100);  // the broker is asked each time
constexpr absl::Duration kMostInterval = absl::Hours(1);
constexpr absl::Duration kSignalStep = absl::Milliseconds(100);  // between looks at signals

struct TopRequest {
  absl::Duration interval = absl::Seconds(1);
  std::optional<int64_t> looks;  // nullopt: until somebody ends it
};

const std::vector<TableColumn>& WorkerColumns() {
  static const auto& columns = *new std::vector<TableColumn>{
      {"name", "WORKER"}, {"state", "STATE"},   {"partitions", "PARTITIONS"},       {"lanes", "LANES"},
      {"cpu", "CPU"},     {"memory", "MEMORY"}, {"lease_ms_left", "LEASE MS LEFT"}, {"zone", "ZONE"}};
  return columns;
}

const std::vector<TableColumn>& JobColumns() {
  static const auto& columns = *new std::vector<TableColumn>{
      {"job", "JOB"},         {"state", "STATE"},           {"in_per_second", "IN/S"},
      {"records_in", "IN"},   {"out_per_second", "OUT/S"},  {"records_out", "OUT"},
      {"lag_records", "LAG"}, {"oldest_ms", "OLDEST MS"},   {"dead_letters", "DEAD LETTERS"},
      {"owned", "OWNED"},     {"partitions", "PARTITIONS"}, {"reason", "REASON"}};
  return columns;
}

const std::vector<TableColumn>& PartitionColumns() {
  static const auto& columns = *new std::vector<TableColumn>{
      {"job", "JOB"},         {"segment", "SEGMENT"},     {"partition", "PARTITION"}, {"owner", "OWNER"},
      {"lag_records", "LAG"}, {"oldest_ms", "OLDEST MS"}, {"state", "STATE"},         {"reason", "REASON"}};
  return columns;
}

std::string TopText(const ViewJson& view, const std::string& trouble) {
  const TableStyle style = UseColor() ? TableStyle::kColor : TableStyle::kPlain;
  std::string text =
      StrCat("millrace ", view["at"].get<std::string>(), "   leader ",
             view["leader"].is_null() ? "-" : EscapeControls(view["leader"].get<std::string>()), ", term ",
             view["term"].is_null() ? "-" : view["term"].dump(), "\n");
  if (!trouble.empty()) StrAppend(&text, "as it was; now: ", EscapeControls(trouble), "\n");
  ViewJson workers = view["workers"];
  for (ViewJson& worker : workers) worker["memory"] = FormatSize(worker["memory_bytes"].get<uint64_t>());
  StrAppend(&text, "\n", FormatTable(WorkerColumns(), workers, style));
  StrAppend(&text, "\n", FormatTable(JobColumns(), view["jobs"], style));
  if (!view["partitions"].empty()) {
    StrAppend(&text, "\nfurthest behind\n", FormatTable(PartitionColumns(), view["partitions"], style));
  }
  return text;
}

absl::StatusOr<ViewJson> Look(Bus& bus, Rates* rates) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  LogsOfJobs logs;
  for (const JobRecord* const job : JobsToLookAt(*cluster)) {
    auto of_job = ReadPartitionLogs(bus, *cluster, *job);
    if (!of_job.ok()) return of_job.status();
    logs[job->name] = *std::move(of_job);
  }
  NoteRates(*cluster, SystemClock().Monotonic(), rates);
  return TopView(*cluster, logs, *rates, absl::ToUnixMillis(SystemClock().Now()));
}

// True: the person has had enough.
absl::StatusOr<bool> Wait(absl::Duration interval, FullScreen* screen) {
  for (absl::Duration waited; waited < interval; waited += kSignalStep) {
    if (const absl::Status status = CheckInterrupted(); !status.ok()) return status;
    if (screen == nullptr) {
      SystemClock().Sleep(std::min(kSignalStep, interval - waited));
    } else if (screen->WaitForQuit(std::min(kSignalStep, interval - waited))) {
      return true;
    }
  }
  return CheckInterrupted().ok() ? absl::StatusOr<bool>(false) : CheckInterrupted();
}

// What cannot be read at the first look is an error; later it is shown, and looked for again.
absl::Status ShowTop(Bus& bus, const TopRequest& request, const CommandLine& command) {
  Rates rates;
  absl::StatusOr<ViewJson> view = Look(bus, &rates);
  if (!view.ok()) return view.status();
  std::unique_ptr<FullScreen> screen;
  if (!command.json() && StdoutIsTerminal() && !IsDumbTerminal() && !request.looks.has_value()) {
    screen = std::make_unique<FullScreen>();
  }
  std::string trouble;
  for (int64_t looks = 1;; ++looks) {
    const std::string text = command.json() ? JsonText(*view, kOneLine) + "\n" : TopText(*view, trouble);
    const absl::Status shown = screen == nullptr ? WriteOut(text) : screen->Show(text);
    if (!shown.ok() || looks == request.looks) return shown;
    const absl::StatusOr<bool> ended = Wait(request.interval, screen.get());
    if (!ended.ok() || *ended) return ended.status();
    if (!command.json() && screen == nullptr) WriteOut("\n").IgnoreError();
    absl::StatusOr<ViewJson> next = Look(bus, &rates);
    trouble = next.ok() ? "" : std::string(next.status().message());
    if (next.ok()) {
      view = std::move(next);
    } else if (command.json() || screen == nullptr) {
      return next.status();
    }
  }
}

absl::Status CheckRequest(const TopRequest& request) {
  if (request.interval < kLeastInterval || request.interval > kMostInterval) {
    return absl::InvalidArgumentError(StrCat("--interval ", millrace::FormatDuration(request.interval),
                                             " — it must be 100ms to 1h — try --interval 1s"));
  }
  if (request.looks.has_value() && *request.looks < 1) {
    return absl::InvalidArgumentError(
        StrCat("--looks ", *request.looks, " — it must be at least 1 — leave it out to look until Ctrl-C"));
  }
  return absl::OkStatus();
}

}  // namespace

int RunTop(const Arguments& arguments) {
  TopRequest request;
  CommandLine command("coordinator top [--interval 1s] [--looks N] [-o table|json]",
                      "Shows workers, jobs, rates and what is furthest behind, until `q` or Ctrl-C.\n"
                      "JSON is one document a line.",
                      "coordinator top --looks 2 -o json");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Add("interval", &request.interval, "time between two looks");
  command.flags().Add("looks", &request.looks, "N", "end after so many (default: never)");
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (const absl::Status status = CheckRequest(request); !status.ok()) return Fail(status);
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = ShowTop(**bus, request, command);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
