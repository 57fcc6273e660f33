#include "coordinator/ingest/input_paths.h"

#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_folder.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InputPathsTest : public testing::Test {
 protected:
  std::string Make(const std::string& name) {
    std::ofstream(Path(name)) << "{}\n";
    return Path(name);
  }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }

  TempFolder folder_{"millrace-inputs"};
};

TEST_F(InputPathsTest, APatternIsTheFilesThatMatchInTheOrderOfTheirNames) {
  const std::string second = Make("day-2.jsonl"), first = Make("day-10.jsonl"), other = Make("week-1.jsonl");
  const auto inputs = ExpandInputs({other, Path("day-*.jsonl"), "-"});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_THAT(*inputs, ElementsAre(other, first, second, "-"));
}

TEST_F(InputPathsTest, WhatNamesAFileAsItStandsIsThatFile) {
  const std::string odd = Make("a[1].jsonl");
  Make("a1.jsonl");
  const auto inputs = ExpandInputs({odd});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_THAT(*inputs, ElementsAre(odd));
}

TEST_F(InputPathsTest, AFileThatIsNotThereIsLeftToWhoOpensIt) {
  const auto inputs = ExpandInputs({Path("none.jsonl")});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_THAT(*inputs, ElementsAre(Path("none.jsonl")));
}

TEST_F(InputPathsTest, APatternThatMatchesNothingIsSaid) {
  const auto inputs = ExpandInputs({Path("day-?.jsonl")});
  ASSERT_TRUE(absl::IsInvalidArgument(inputs.status()));
  EXPECT_THAT(std::string(inputs.status().message()), HasSubstr("no file matches it"));
}

TEST_F(InputPathsTest, TooManyFilesAreRefused) {
  const auto inputs = ExpandInputs(std::vector<std::string>(kMaxInputFiles + 1, "-"));
  ASSERT_TRUE(absl::IsInvalidArgument(inputs.status()));
  EXPECT_THAT(std::string(inputs.status().message()), HasSubstr("at most"));
}

}  // namespace
}  // namespace millrace
