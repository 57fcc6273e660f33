// What each kind of user has to be allowed in NATS, and nothing beyond it.
//
// NATS gives permissions for subjects, and a stream's name is one token of an API subject: a role can be kept from
// verbs (make, delete, purge), and from keys and records of ours, but not from reading this stream and not that one.
// So Millrace is given an account of its own, and these permissions inside it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace millrace {

enum class Role {
  kCoordinator,  // `coordinator serve`
  kWorker,       // `worker`
  kSubmitter,    // who makes, changes and deletes jobs
  kReader        // who looks: results, status, state, verify
};
inline constexpr Role kAllRoles[] = {Role::kCoordinator, Role::kWorker, Role::kSubmitter, Role::kReader};
std::string_view RoleName(Role role);  // "coordinator"

struct RolePermissions {
  std::vector<std::string> publish;
  std::vector<std::string> subscribe;
  bool answers_requests = false;  // may answer where a request says, once each
};

struct PermissionSettings {
  std::string object_bucket;               // of `--checkpoints nats://BUCKET`; empty: they lie elsewhere
  std::vector<std::string> sink_subjects;  // that jobs publish their results to
};

// INVALID_ARGUMENT, one line: a subject that is none, or is ours, or a bucket's name that is none.
absl::Status CheckPermissionSettings(const PermissionSettings& settings);
// REQUIRES: checked settings. Sorted; no subject twice.
RolePermissions PermissionsOf(Role role, const PermissionSettings& settings);
// Where a role's replies come: another for each, so that no user hears what another asked for. `--inbox-prefix`.
std::string InboxPrefixOf(Role role);

// For nats-server's configuration: a variable for each role, and how to use it.
std::string PermissionsConf(const std::vector<Role>& roles, const PermissionSettings& settings);
// {"worker": {"publish": [...], "subscribe": [...], "allow_responses": true, "inbox_prefix": "..."}, ...}
std::string PermissionsJson(const std::vector<Role>& roles, const PermissionSettings& settings);

}  // namespace millrace
