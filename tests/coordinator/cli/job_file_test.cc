// What a job file's code can be wrong in, and the line that its author reads.
#include "coordinator/cli/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "common/strings.h"

namespace millrace {
namespace {

using ::testing::StartsWith;

class JobFileTest : public ::testing::Test {
 protected:
  // The message without the file's folder.
  std::string ErrorOf(const std::string& text, const std::vector<std::string>& sets = {}) {
    const std::string folder = ::testing::TempDir() + "/";
    const std::string path = folder + "s.yaml";
    std::ofstream(path, std::ios::binary) << text;
    const auto spec = LoadJob(path, sets);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
    std::string message(ToStd(spec.status().message()));
    if (message.starts_with(folder)) message.erase(0, folder.size());
    return message;
  }
};

constexpr char kStages[] = "stages:\n  - filter: r.x\n";

TEST_F(JobFileTest, AKeyThatDoesNotCompileIsToldWithItsPlace) {
  EXPECT_THAT(ErrorOf(StrCat("name: a\nkey: 'lua: r. ..'\n", kStages)), StartsWith("s.yaml:2:6: key: "));
  EXPECT_THAT(ErrorOf(StrCat("name: a\nkey:\n  lua: r. ..\n", kStages)), StartsWith("s.yaml:3:8: key: "));
}

TEST_F(JobFileTest, ATimeFormatThatCannotBeReadIsToldWithItsPlace) {
  EXPECT_THAT(ErrorOf(StrCat("name: a\nkey: k\ntime: { field: t, format: '%Q' }\n", kStages)),
              StartsWith("s.yaml:3:27: time format `%Q`"));
}

TEST_F(JobFileTest, CodeInABlockIsToldWithTheFilesLine) {
  EXPECT_THAT(ErrorOf("name: a\n# ä\nkey: k\nstages:\n  - keyed:\n      lua: |\n        local n = 1\n"
                      "        n = = 2\n"),
              StartsWith("s.yaml:5:5: keyed-0, line 8: "));
  EXPECT_THAT(ErrorOf("name: a\nkey: k\nstages:\n  - filter: |\n      r.x and\n      r. > 1\n"),
              StartsWith("s.yaml:4:5: filter-0, line 6: "));
}

TEST_F(JobFileTest, CodeOutsideABlockIsToldWithItsFirstLine) {
  EXPECT_THAT(ErrorOf("name: a\nkey: k\nstages:\n  - name: late\n    filter: 'r. >'\n"),
              StartsWith("s.yaml:4:5: late, line 5: "));
  EXPECT_THAT(ErrorOf("name: a\nkey: k\nstages:\n  - keyed: { lua: \"x = 1\\ny = = 2\" }\n"),
              StartsWith("s.yaml:4:5: keyed-0, line 4: "));
}

TEST_F(JobFileTest, CodeFromASetIsToldWithIt) {
  EXPECT_THAT(ErrorOf(StrCat("name: a\nkey: k\n", kStages), {"partitions=2", "stages.0={filter: 'r. >'}"}),
              StartsWith("--set stages.0={filter: 'r. >'}: filter-0: "));
}

TEST_F(JobFileTest, AFileThatIsTooLargeIsOneLine) {
  EXPECT_EQ(ErrorOf(std::string(2 << 20, 'a')),
            "s.yaml cannot be a job file — it is larger than 1.0 MiB — check that it is the right file");
}

}  // namespace
}  // namespace millrace
