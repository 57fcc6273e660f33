#include "coordinator/ingest/input_paths.h"

#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/strings.h"

namespace millrace {
namespace {

bool IsPattern(const std::string& input) {
  std::error_code ignored;
  return input.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(input, ignored);
}

absl::StatusOr<std::vector<std::string>> FilesThatMatch(const std::string& pattern) {
  glob_t found = {};
  const int code = glob(pattern.c_str(), GLOB_ERR | GLOB_NOSORT, nullptr, &found);
  const int cause = errno;
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  if (code == GLOB_NOMATCH) {
    return absl::InvalidArgumentError(
        StrCat("--input ", pattern, " — no file matches it — try `ls ", pattern, "`"));
  }
  if (code != 0) {
    return absl::InvalidArgumentError(StrCat(
        "--input ", pattern, " — its folder cannot be read: ", std::strerror(cause), " — is it yours?"));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ExpandInputs(const std::vector<std::string>& inputs) {
  std::vector<std::string> expanded;
  for (const std::string& input : inputs) {
    if (!IsPattern(input)) {
      expanded.push_back(input);
      continue;
    }
    absl::StatusOr<std::vector<std::string>> files = FilesThatMatch(input);
    if (!files.ok()) return files.status();
    expanded.insert(expanded.end(), files->begin(), files->end());
  }
  if (expanded.size() > kMaxInputFiles) {
    return absl::InvalidArgumentError(StrCat(expanded.size(), " inputs — a job takes ", kMaxInputFiles,
                                             " at most — put them together: cat FILE… | … --input -"));
  }
  return expanded;
}

}  // namespace millrace
