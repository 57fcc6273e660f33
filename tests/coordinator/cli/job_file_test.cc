// What a job file's code can be wrong in, and the line that its author reads.
#include "coordinator/cli/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/strings.h"

namespace millrace {
namespace {

using ::testing::StartsWith;

class JobFileTest : public ::testing::Test {
 protected:
  JobFileTest() {
    std::string pattern = ::testing::TempDir() + "/job-file-XXXXXX";
    folder_ = std::string(mkdtemp(pattern.data())) + "/";
  }
  ~JobFileTest() override { std::filesystem::remove_all(folder_); }

  // The message without the file's folder.
  std::string ErrorOf(const std::string& text, const std::vector<std::string>& sets = {}) {
    const std::string path = folder_ + "s.yaml";
    std::ofstream(path, std::ios::binary) << text;
    CodeFiles files("");
    const auto spec = LoadJob(path, files, sets);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
    std::string message(ToStd(spec.status().message()));
    if (message.starts_with(folder_)) message.erase(0, folder_.size());
    return message;
  }

  std::string folder_;
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
