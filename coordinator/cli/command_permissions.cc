// nats-permissions: what each kind of user has to be allowed in NATS.
#include <algorithm>
#include <iterator>
#include <vector>

#include "common/strings.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/permissions/roles.h"
#include "coordinator/terminal/terminal.h"

namespace millrace {
namespace {

absl::StatusOr<std::vector<Role>> RolesNamed(const std::string& name) {
  if (name.empty()) return std::vector<Role>(std::begin(kAllRoles), std::end(kAllRoles));
  const auto* const found = std::find_if(std::begin(kAllRoles), std::end(kAllRoles),
                                         [&](Role role) { return RoleName(role) == name; });
  if (found != std::end(kAllRoles)) return std::vector<Role>{*found};
  return absl::InvalidArgumentError(
      StrCat("no role is called ", name, " — they are coordinator, worker, submitter, reader — try worker"));
}

}  // namespace

int RunNatsPermissions(const Arguments& arguments) {
  std::string name;
  PermissionSettings settings;
  CommandLine command(
      "coordinator nats-permissions [ROLE] [--checkpoints-bucket NAME] [--sink-subject SUBJECT]...",
      "Prints what a user of NATS has to be allowed to be a coordinator, a worker, a submitter of jobs "
      "or a reader, and no more: for the server's configuration, or as JSON.",
      "coordinator nats-permissions > /etc/nats/millrace-permissions.conf");
  command.flags().OptionalPositional("ROLE", &name);
  command.flags().Add("checkpoints-bucket", &settings.object_bucket, "NAME",
                      "where checkpoints go with `--checkpoints objects:NAME`");
  command.flags().Add("sink-subject", &settings.sink_subjects, "SUBJECT",
                      "where jobs publish results, also with * and >");
  command.AddOutput({"conf", "json"});
  if (const auto exit = command.Parse(arguments)) return *exit;
  const absl::StatusOr<std::vector<Role>> roles = RolesNamed(name);
  if (!roles.ok()) return Fail(roles.status());
  if (const absl::Status fit = CheckPermissionSettings(settings); !fit.ok()) return Fail(fit);
  const absl::Status written =
      WriteOut(command.json() ? PermissionsJson(*roles, settings) : PermissionsConf(*roles, settings));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace millrace
