// What may be copied, and what comes of it: decisions over documents.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/cluster/documents.h"
#include "common/code/code_files.h"
#include "common/job/job_spec.h"

namespace millrace {

struct CopyRequest {
  std::string job;
  std::string name;                   // of the copy
  std::optional<int64_t> partitions;  // nullopt: as many as the job has
  std::vector<std::string> sets;      // as ParseJob takes them
  std::string plugins = {};           // the folder that they are in
};

// INVALID_ARGUMENT, one line: a name or a number that cannot be.
absl::Status CheckCopyRequest(const CopyRequest& request);

// The file of the copy: `code`, what the job runs now, with the request's changes; compiled. A source that never
// ends is left out of it: the copy ends with what it was copied from. INVALID_ARGUMENT: that is no job, or one that
// would read the records otherwise (`source`, `time`), which are decoded by now. FAILED_PRECONDITION: a plugin.
// `fetch`: the job's tables, which are the copy's, too.
absl::StatusOr<JobSpec> SpecOfCopy(const JobSpec& code, const CopyRequest& request,
                                   const FetchTable& fetch = {});

enum class CopiedInput {
  kWhole,   // it has ended, and its logs say so
  kCutOff,  // nobody feeds it any more: what is there is all there will be
};
// How the job's input stands, where `final_status` is null as long as it runs, and `fed` when its files were fed
// whole. FAILED_PRECONDITION: more may come.
absl::StatusOr<CopiedInput> JudgeCopiedInput(const JobSpec& code, const FinalStatus* final_status, bool fed);

// FAILED_PRECONDITION where the job `there`, which has the name already, is not a copy of `job`.
absl::Status CheckIsCopyOf(const JobRecord& there, const JobRecord& job);

}  // namespace millrace
