#include "coordinator/permissions/roles.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "common/blob/object_info.h"
#include "common/bus/subjects.h"
#include "common/names.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

// Logs, results and verdicts: mr.JOB.SEGMENT.PARTITION, mr.JOB.out.PARTITION and mr.JOB.SEGMENT.PARTITION.v
constexpr const char* kRecordSubjects[] = {"mr.*.*.*", "mr.*.*.*.v"};
constexpr char kDeadLetters[] = "mr.*.dead.>";
constexpr char kWorkerRequests[] = "mr.rpc.*";

std::string ApiSubject(std::string_view call) { return StrCat("$JS.API.", call); }

std::string KeySubjects(std::string_view bucket, std::string_view keys) {
  return StrCat(BucketSubjectPrefix(bucket), keys);
}

// What looking at streams takes.
void AddReading(RolePermissions* role) {
  for (const char* call : {"INFO", "STREAM.NAMES", "STREAM.INFO.*", "STREAM.MSG.GET.*", "CONSUMER.CREATE.*.*",
                           "CONSUMER.MSG.NEXT.*.*", "CONSUMER.DELETE.*.*"}) {
    role->publish.push_back(ApiSubject(call));
  }
}

void AddRecords(RolePermissions* role) {
  for (const char* subject : kRecordSubjects) role->publish.emplace_back(subject);
}

void AddAll(std::initializer_list<std::string> subjects, RolePermissions* role) {
  role->publish.insert(role->publish.end(), subjects);
}

// Each of them makes the buckets where they are missing.
void AddBuckets(RolePermissions* role) {
  for (const char* bucket : {kJobsBucket, kWorkersBucket, kAssignmentsBucket, kEpochsBucket}) {
    for (const char* verb : {"STREAM.CREATE.", "STREAM.UPDATE."}) {
      role->publish.push_back(ApiSubject(StrCat(verb, BucketStream(bucket))));
    }
  }
}

void AddCoordinator(const PermissionSettings& settings, RolePermissions* role) {
  AddBuckets(role);
  AddRecords(role);  // of sources
  AddAll({KeySubjects(kWorkersBucket, StrCat(kCoordinatorPrefix, ">")), KeySubjects(kAssignmentsBucket, ">"),
          KeySubjects(kEpochsBucket, ">"), kDeadLetters, kWorkerRequests, ApiSubject("STREAM.PURGE.*")},
         role);
  role->publish.insert(role->publish.end(), settings.sink_subjects.begin(), settings.sink_subjects.end());
}

void AddWorker(const PermissionSettings& settings, RolePermissions* role) {
  AddBuckets(role);
  AddRecords(role);
  AddAll({KeySubjects(kWorkersBucket, StrCat(kWorkerPrefix, ">")), KeySubjects(kEpochsBucket, ">"),
          kDeadLetters, ApiSubject("STREAM.PURGE.*")},
         role);
  if (!settings.object_bucket.empty()) {
    const std::string stream = ObjectStream(settings.object_bucket);
    AddAll({ApiSubject(StrCat("STREAM.CREATE.", stream)), ApiSubject(StrCat("STREAM.UPDATE.", stream)),
            StrCat("$O.", settings.object_bucket, ".>")},
           role);
  }
  role->subscribe.emplace_back(kWorkerRequests);
  role->answers_requests = true;
}

void AddSubmitter(RolePermissions* role) {
  AddBuckets(role);
  AddRecords(role);
  AddAll({"mr.doctor.*", KeySubjects(kJobsBucket, ">"), KeySubjects(kAssignmentsBucket, ">"),
          KeySubjects(kEpochsBucket, ">"), kDeadLetters, kWorkerRequests, ApiSubject("STREAM.CREATE.*"),
          ApiSubject("STREAM.UPDATE.*"), ApiSubject("STREAM.DELETE.*"), ApiSubject("STREAM.PURGE.*")},
         role);
}

std::string ConfList(const std::vector<std::string>& subjects) {
  std::string text = "[";
  for (const std::string& subject : subjects) StrAppend(&text, "\n      \"", subject, "\"");
  return StrCat(text, "\n    ]");
}

std::string ConfVariable(Role role) {
  return StrCat("MILLRACE_", ToStd(absl::AsciiStrToUpper(ToAbsl(RoleName(role)))));
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kCoordinator:
      return "coordinator";
    case Role::kWorker:
      return "worker";
    case Role::kSubmitter:
      return "submitter";
    case Role::kReader:
      break;
  }
  return "reader";
}

std::string InboxPrefixOf(Role role) { return StrCat("_INBOX_", RoleName(role)); }

absl::Status CheckPermissionSettings(const PermissionSettings& settings) {
  if (!settings.object_bucket.empty() && !IsObjectBucket(settings.object_bucket)) {
    return absl::InvalidArgumentError(
        StrCat("--checkpoints-bucket ", settings.object_bucket,
               " — a bucket of an object store has letters, digits, _ and - — give the name in "
               "`--checkpoints objects:NAME`"));
  }
  for (const std::string& subject : settings.sink_subjects) {
    if (IsSourceSubject(subject)) continue;
    return absl::InvalidArgumentError(
        StrCat("--sink-subject ", subject,
               " — it is no subject that a job may publish to: not well formed, or one of Millrace or the "
               "server — try orders.done"));
  }
  return absl::OkStatus();
}

RolePermissions PermissionsOf(Role role, const PermissionSettings& settings) {
  RolePermissions permissions;
  permissions.subscribe.push_back(StrCat(InboxPrefixOf(role), ".>"));
  AddReading(&permissions);
  switch (role) {
    case Role::kCoordinator:
      AddCoordinator(settings, &permissions);
      break;
    case Role::kWorker:
      AddWorker(settings, &permissions);
      break;
    case Role::kSubmitter:
      AddSubmitter(&permissions);
      break;
    case Role::kReader:
      permissions.publish.emplace_back(kWorkerRequests);
      break;
  }
  for (std::vector<std::string>* subjects : {&permissions.publish, &permissions.subscribe}) {
    std::sort(subjects->begin(), subjects->end());
    subjects->erase(std::unique(subjects->begin(), subjects->end()), subjects->end());
  }
  return permissions;
}

std::string PermissionsConf(const std::vector<Role>& roles, const PermissionSettings& settings) {
  std::string text =
      "# Permissions for the users of Millrace, in an account of its own. Kept as millrace-permissions.conf "
      "beside the\n"
      "# configuration of nats-server:\n"
      "#\n"
      "#   include \"millrace-permissions.conf\"\n"
      "#   authorization { users: [ { user: worker, password: $WORKER_PASSWORD, permissions: "
      "$MILLRACE_WORKER }, ... ] }\n"
      "#\n"
      "# Each role's commands then need --inbox-prefix, or MILLRACE_INBOX_PREFIX, as it stands below.\n";
  for (const Role role : roles) {
    const RolePermissions permissions = PermissionsOf(role, settings);
    StrAppend(&text, "\n# --inbox-prefix ", InboxPrefixOf(role), "\n", ConfVariable(role),
              ": {\n  publish: {\n    allow: ", ConfList(permissions.publish),
              "\n  }\n  subscribe: {\n    allow: ", ConfList(permissions.subscribe), "\n  }\n");
    if (permissions.answers_requests) StrAppend(&text, "  allow_responses: true\n");
    StrAppend(&text, "}\n");
  }
  return text;
}

std::string PermissionsJson(const std::vector<Role>& roles, const PermissionSettings& settings) {
  nlohmann::ordered_json document = nlohmann::ordered_json::object();
  for (const Role role : roles) {
    const RolePermissions permissions = PermissionsOf(role, settings);
    document[std::string(RoleName(role))] = {{"publish", permissions.publish},
                                             {"subscribe", permissions.subscribe},
                                             {"allow_responses", permissions.answers_requests},
                                             {"inbox_prefix", InboxPrefixOf(role)}};
  }
  return document.dump(2) + "\n";
}

}  // namespace millrace
