// dead-letters list, dead-letters show: records that could not be handled.
#include "common/clock.h"
#include "common/strings.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/context.h"
#include "coordinator/cli/table.h"
#include "coordinator/dead_letters/dead_letter_reader.h"
#include "coordinator/views/cluster.h"

namespace millrace {
namespace {

struct LettersRequest {
  std::string verb, job, id;
};

absl::Status List(Bus& bus, const JobRecord& job, const CommandLine& command) {
  LetterJson rows = LetterJson::array();
  const absl::Status status = ReadDeadLetters(bus, SystemClock(), job, [&](const LetterJson& letter) {
    rows.push_back(letter);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (command.json()) return WriteOut(rows.dump(2, ' ', false, LetterJson::error_handler_t::replace) + "\n");
  return WriteOut(FormatTable({{"id", "ID"},
                               {"key", "KEY"},
                               {"stage", "STAGE"},
                               {"attempts", "ATTEMPTS"},
                               {"time", "TIME"},
                               {"error", "ERROR"}},
                              rows, UseColor() ? TableStyle::kColor : TableStyle::kPlain));
}

absl::Status Show(Bus& bus, const JobRecord& job, const std::string& id) {
  LetterJson found;
  const absl::Status status = ReadDeadLetters(bus, SystemClock(), job, [&](const LetterJson& letter) {
    if (letter["id"] == id) found = letter;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (found.is_null()) {
    return absl::NotFoundError(StrCat("no dead letter ", id, " in `", job.name,
                                      "` — ids are those of the list — try "
                                      "`coordinator dead-letters list ",
                                      job.name, "`"));
  }
  return WriteOut(found.dump(2, ' ', false, LetterJson::error_handler_t::replace) + "\n");
}

absl::Status Run(Bus& bus, const LettersRequest& request, const CommandLine& command) {
  const auto cluster = ReadCluster(bus);
  if (!cluster.ok()) return cluster.status();
  const auto job = RequireJob(*cluster, request.job);
  if (!job.ok()) return job.status();
  return request.verb == "list" ? List(bus, *job, command) : Show(bus, *job, request.id);
}

}  // namespace

int RunDeadLetters(const Arguments& arguments) {
  LettersRequest request;
  std::vector<std::string> names;
  CommandLine command("coordinator dead-letters list JOB [-o table|json] | dead-letters show ID JOB",
                      "Lists the records that could not be handled, or shows one, with the error.",
                      "coordinator dead-letters show 0.3.17.2 delays");
  command.AddConnection();
  command.AddOutput({"table", "json"});
  command.flags().Positional("list|show", &request.verb);
  command.flags().Positionals("[ID] JOB", &names);
  if (const auto exit = command.Parse(arguments)) return *exit;
  const size_t wanted = request.verb == "list" ? 1 : request.verb == "show" ? 2 : 0;
  if (wanted == 0 || names.size() != wanted) {
    return Fail(absl::InvalidArgumentError(
        "dead-letters — there is `dead-letters list JOB` and `dead-letters show ID JOB` — try "
        "`coordinator dead-letters --help`"));
  }
  request.job = names.back();
  request.id = names.front();
  const auto bus = command.Connect();
  if (!bus.ok()) return Fail(bus.status());
  const absl::Status status = Run(**bus, request, command);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace millrace
