#include "common/job/code_file.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace millrace {

bool IsCodeFileName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxCodeFileNameBytes && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
         });
}

}  // namespace millrace
