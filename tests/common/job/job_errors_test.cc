// Every wrong file and the line that its author reads: wrong_job_files.md.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/job/job_parser.h"
#include "common/job/segments.h"
#include "common/pipeline/pipeline.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kFewestWrongFiles = 100;

struct WrongFile {
  std::string situation;
  std::string text;
  std::string message;
};

// `\xNN` is that byte.
std::string Unescaped(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text.compare(i, 2, "\\x") == 0 && i + 3 < text.size();
    bytes.push_back(is_escape ? static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16)) : text[i]);
    if (is_escape) i += 3;
  }
  return bytes;
}

// A heading with the situation, a fence with the file, a quotation with the message.
std::vector<WrongFile> ReadWrongFiles() {
  std::ifstream file(MILLRACE_SOURCE_DIR "/tests/common/job/wrong_job_files.md");
  std::vector<WrongFile> files;
  bool in_fence = false;
  for (std::string line; std::getline(file, line);) {
    if (in_fence && line != "```") {
      StrAppend(&files.back().text, Unescaped(line), "\n");
    } else if (line.starts_with("```")) {
      in_fence = !in_fence;
    } else if (line.starts_with("## ")) {
      files.push_back({line.substr(3), "", ""});
    } else if (line.starts_with("> ")) {
      files.back().message = line.substr(2);
    }
  }
  return files;
}

// What `coordinator check` says of the file.
absl::Status Check(const std::string& text) {
  const absl::StatusOr<JobSpec> spec = ParseJob("job.yaml", text);
  if (!spec.ok()) return spec.status();
  for (const SegmentSpec& segment : SegmentsOf(*spec)) {
    if (absl::Status made = Pipeline::Create(segment.job, {}).status(); !made.ok()) return made;
  }
  return absl::OkStatus();
}

TEST(JobErrors, SayWhereWhatWhyAndWhatToTry) {
  const std::vector<WrongFile> files = ReadWrongFiles();
  EXPECT_GE(files.size(), kFewestWrongFiles);
  std::set<std::string> situations;
  for (const WrongFile& file : files) {
    const absl::Status status = Check(file.text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << file.situation;
    EXPECT_EQ(ToStd(status.message()), file.message) << file.situation;
    EXPECT_TRUE(situations.insert(file.situation).second) << "twice: " << file.situation;
  }
}

TEST(JobErrors, ShortenAndEscapeWhatTheyQuote) {
  const std::string long_word(200, 'x');
  const auto spec = ParseJob("job.yaml", StrCat("\"a\\nb", long_word, "\": 1\n"));
  const std::string message(ToStd(spec.status().message()));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.rfind("job.yaml:1:1: `a\\nbxxx", 0), 0u) << message;
  EXPECT_LT(message.size(), 300u);
}

}  // namespace
}  // namespace millrace
