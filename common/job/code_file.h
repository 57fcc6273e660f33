// A file that a job's code consists of beside the job file: a plugin, say. What counts is what is in it: a job's record
// holds its digest, so that every process that runs the job runs the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

struct CodeFile {
  std::string name;  // as the job file has it
  uint64_t bytes = 0;
  std::string sha256;  // 64 hex digits
  bool operator==(const CodeFile&) const = default;
};

inline constexpr size_t kMaxCodeFileNameBytes = 128;

// Letters, digits, `_`, `-` and `.`, and no `.` in front: no folders, and nothing hidden.
bool IsCodeFileName(std::string_view name);

}  // namespace millrace
