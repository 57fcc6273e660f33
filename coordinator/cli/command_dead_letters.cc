// dead-letters list, show, retry, purge: records that could not be handled.
#include <algorithm>

#include "common/clock.h"
#include "common/job/job_parser.h"
#include "common/pipeline/event_time.h"
#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/table.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/dead_letters/letter_purge.h"
#include "coordinator/dead_letters/letter_retry.h"
#include "coordinator/terminal/terminal.h"
#include "coordinator/views/cluster.h"

namespace millrace {
namespace {

struct LettersRequest {
  std::string verb, job;
  std::vector<std::string> ids;
  bool yes = false;
};

std::string Pretty(const LetterJson& json) {
  return json.dump(2, ' ', false, LetterJson::error_handler_t::replace) + "\n";
}

absl::Status List(Bus& bus, const JobRecord& job, const CommandLine& command) {
  auto letters = ListDeadLetters(bus, SystemClock(), job);
  if (!letters.ok()) return letters.status();
  LetterJson rows = LetterJson::array();
  for (LetterJson& letter : *letters) rows.push_back(std::move(letter));
  if (command.json()) return WriteOut(Pretty(rows));
  for (LetterJson& row : rows) {
    if (row["time"].is_number_integer()) row["time"] = FormatTime(row["time"].get<int64_t>());
  }
  return WriteOut(FormatTable({{"id", "ID"},
                               {"key", "KEY"},
                               {"stage", "STAGE"},
                               {"attempts", "ATTEMPTS"},
                               {"time", "TIME"},
                               {"retried_offset", "RETRIED AT"},
                               {"error", "ERROR"}},
                              rows, UseColor() ? TableStyle::kColor : TableStyle::kPlain));
}

absl::Status Show(Bus& bus, const JobRecord& job, const std::string& id) {
  const auto letters = ListDeadLetters(bus, SystemClock(), job);
  if (!letters.ok()) return letters.status();
  const auto found = std::find_if(letters->begin(), letters->end(),
                                  [&](const LetterJson& letter) { return letter["id"] == id; });
  if (found == letters->end()) return NoSuchLetter(job, id);
  return WriteOut(Pretty(*found));
}

absl::Status Retry(Bus& bus, const Cluster& cluster, const JobRecord& job, const LettersRequest& request) {
  if (const FinalStatus* final_status = cluster.FindFinal(job.uid)) {
    return absl::FailedPreconditionError(StrCat("cannot retry dead letters of `", job.name, "` — it is ",
                                                final_status->state,
                                                ", nobody runs its records any more — try to submit them "
                                                "as a job of their own"));
  }
  const auto spec = ParseJob(job.name, job.spec_text);
  if (!spec.ok()) return spec.status();
  const auto report = LetterRetry(bus, SystemClock(), job, *spec).Run(request.ids);
  if (!report.ok()) return report.status();
  for (const std::string& refused : report->refused) Say(StrCat("dead letter ", refused));
  Say(StrCat(report->retried, " retried, ", report->retried_before, " had been retried before, ",
             report->refused.size(), " cannot be retried"));
  if (report->refused.empty() || request.ids.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError("not every letter that was asked for could be retried");
}

absl::Status Purge(Bus& bus, const JobRecord& job, const LettersRequest& request) {
  if (!request.yes) {
    const absl::Status sure = Confirm(StrCat("dead-letters purge `", job.name, "`"),
                                      StrCat("Delete all dead letters of job `", job.name, "`?"));
    if (!sure.ok()) return sure;
  }
  const auto purged = PurgeDeadLetters(bus, SystemClock(), job);
  if (!purged.ok()) return purged.status();
  Say(StrCat(*purged, " dead letters of `", job.name, "` are purged"));
  return absl::OkStatus();
}

absl::Status Run(Bus& bus, const LettersRequest& request, const CommandLine& command) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  if (request.verb == "list") return List(bus, *job, command);
  if (request.verb == "show") return Show(bus, *job, request.ids.front());
  if (request.verb == "retry") return Retry(bus, *cluster, *job, request);
  return Purge(bus, *job, request);
}

// How many ids stand before the job's name.
bool TakesIds(const std::string& verb, size_t ids) {
  if (verb == "list" || verb == "purge") return ids == 0;
  if (verb == "show") return ids == 1;
  return verb == "retry";
}

}  // namespace

int RunDeadLetters(const Arguments& arguments) {
  LettersRequest request;
  std::vector<std::string> names;
  CommandLine command(
      "coordinator dead-letters list JOB [-o table|json] | show ID JOB | retry [ID…] JOB | purge JOB [--yes]",
      "Lists the records that could not be handled, shows one with its error, brings some or all back to "
      "their "
      "partitions' logs (each once, however often the command is run), or forgets them all.",
      "coordinator dead-letters retry 0.3.17.2 delays");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Positional("list|show|retry|purge", &request.verb);
  command.flags().Positionals("[ID…] JOB", &names);
  command.flags().AddSwitch("yes", &request.yes, "purge: do not ask");
  if (const auto exit = command.Parse(arguments)) return *exit;
  if (names.empty() || !TakesIds(request.verb, names.size() - 1)) {
    return Fail(absl::InvalidArgumentError(
        "dead-letters — there is `list JOB`, `show ID JOB`, `retry [ID…] JOB` and `purge JOB` — try "
        "`coordinator dead-letters --help`"));
  }
  request.job = names.back();
  names.pop_back();
  request.ids = std::move(names);
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = Run(**bus, request, command);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
