// The logs that a job is copied from: which streams they are, and where each ends. They stand in the new job's
// record as its inputs, so that whoever goes on with a copy reads exactly what it was begun with, whatever is
// appended to them meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"

namespace millrace {

struct CopiedLog {
  std::string stream;
  int64_t created_ns = 0;  // its identity
  uint64_t last = 0;       // what comes behind this message is not looked at
  bool has_end = false;    // the mark that ends the job's input is in it
  bool operator==(const CopiedLog&) const = default;
};

// As an input of the new job: `uid` is that of the job that is copied.
InputFile InputOfCopy(const std::string& uid, const CopiedLog& log);
// The uid that the input was made with, where it is one of a copy.
std::optional<std::string> CopiedUid(const InputFile& input);
// nullopt: it is not the input of any copy.
std::optional<CopiedLog> CopiedLogOf(const InputFile& input);

// The logs of the job's first segment as they stand. `has_end`: its input has ended. FAILED_PRECONDITION: the beginning
// of one is deleted. DATA_LOSS: one is gone, or another job's.
absl::StatusOr<std::vector<CopiedLog>> LookAtLogs(Bus& bus, const JobRecord& job, bool has_end);
// Whether they are still these. DATA_LOSS: one is gone, was made anew, or ends earlier.
absl::Status CheckLogs(Bus& bus, const std::vector<CopiedLog>& logs);

}  // namespace millrace
