// Which JetStream stream a job's messages come from.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/job/job_spec.h"

namespace millrace {

// The stream that the job file names, or the one that holds its subject; where none does, the one that is
// made with the job (SourceStream), which has no digest. The digest of any other is when it was made.
// REQUIRES: spec.source.unbounded(). NOT_FOUND, INVALID_ARGUMENT: with what to try.
absl::StatusOr<InputFile> FindSource(Bus& bus, const JobSpec& spec);

// What the job's record says of its source, as it is now. FAILED_PRECONDITION: it was made anew since, and
// its sequences mean something else.
absl::StatusOr<StreamInfo> CheckSource(Bus& bus, const InputFile& source);

}  // namespace millrace
