#include "coordinator/permissions/roles.h"

#include <algorithm>
#include <string>

#include "common/bus/subjects.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

bool MayPublish(Role role, std::string_view subject, const PermissionSettings& settings = {}) {
  const RolePermissions permissions = PermissionsOf(role, settings);
  return std::any_of(permissions.publish.begin(), permissions.publish.end(),
                     [&](const std::string& allowed) { return SubjectCovers(allowed, subject); });
}

TEST(RolesTest, EachRoleMayReadStreamsAndHearsItsOwnRepliesAlone) {
  for (const Role role : kAllRoles) {
    EXPECT_TRUE(MayPublish(role, "$JS.API.CONSUMER.MSG.NEXT.mr-a-out-0.c")) << RoleName(role);
    EXPECT_THAT(PermissionsOf(role, {}).subscribe, Contains(InboxPrefixOf(role) + ".>"));
    for (const Role other : kAllRoles) {
      if (other == role) continue;
      EXPECT_THAT(PermissionsOf(role, {}).subscribe, Not(Contains(InboxPrefixOf(other) + ".>")));
    }
  }
}

TEST(RolesTest, AReaderMayPublishNothingButQuestions) {
  const RolePermissions reader = PermissionsOf(Role::kReader, {});
  for (const std::string& subject : reader.publish) {
    EXPECT_TRUE(subject.starts_with("$JS.API.") || subject == "mr.rpc.*") << subject;
  }
  EXPECT_THAT(reader.publish, Each(Not(HasSubstr(".PURGE."))));
  EXPECT_THAT(reader.publish, Each(Not(HasSubstr("STREAM.CREATE"))));
}

TEST(RolesTest, ObjectsOfTheNamedBucketAreTheWorkersAlone) {
  const PermissionSettings settings = {"checkpoints", {}};
  for (const Role role : kAllRoles) {
    EXPECT_EQ(MayPublish(role, "$O.checkpoints.C.x", settings), role == Role::kWorker) << RoleName(role);
    EXPECT_FALSE(MayPublish(role, "$O.checkpoints.C.x"));
  }
}

TEST(RolesTest, SubjectsOfSinksAreTheCoordinatorsAlone) {
  const PermissionSettings settings = {"", {"done.>"}};
  ASSERT_TRUE(CheckPermissionSettings(settings).ok());
  for (const Role role : kAllRoles) {
    EXPECT_EQ(MayPublish(role, "done.all", settings), role == Role::kCoordinator) << RoleName(role);
  }
}

TEST(RolesTest, RefusesSubjectsThatAreOursAndBucketsThatAreNone) {
  EXPECT_FALSE(CheckPermissionSettings({"", {"$KV.mr-jobs.>"}}).ok());
  EXPECT_FALSE(CheckPermissionSettings({"", {"mr.x.0.0"}}).ok());
  EXPECT_FALSE(CheckPermissionSettings({"", {">"}}).ok());
  EXPECT_FALSE(CheckPermissionSettings({"a.b", {}}).ok());
}

TEST(RolesTest, TheJsonSaysTheSameAsTheConfiguration) {
  const auto document = nlohmann::json::parse(PermissionsJson({Role::kWorker}, {}));
  const std::string conf = PermissionsConf({Role::kWorker}, {});
  EXPECT_THAT(conf, HasSubstr("MILLRACE_WORKER: {"));
  EXPECT_THAT(conf, HasSubstr("allow_responses: true"));
  EXPECT_TRUE(document["worker"]["allow_responses"].get<bool>());
  for (const std::string subject : document["worker"]["publish"]) {
    EXPECT_THAT(conf, HasSubstr("\"" + subject + "\""));
  }
}

}  // namespace
}  // namespace millrace
