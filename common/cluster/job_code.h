// A job's code through time: what it began with, and each update of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/job/job_spec.h"

namespace millrace {

// At the number of each version; never empty. The last is in force where a partition's log has come to its mark.
using JobCode = std::vector<JobSpec>;

// Of one job: every replay from the beginning goes through all of them.
inline constexpr uint64_t kMaxCodeVersions = 256;

// The updates that the bucket of jobs holds for this uid, from version 1 on. Whoever makes the key of one has seen
// that of the one before, so there is no gap. INVALID_ARGUMENT when a key holds something else.
absl::StatusOr<std::vector<CodeVersion>> CodeVersionsIn(
    const std::map<std::string, KeyValue, std::less<>>& jobs, const std::string& uid);

// Parses a version's file as that job's. Errors: the parser's; FAILED_PRECONDITION when it is for a later
// engine than one of `step_version`.
absl::StatusOr<JobSpec> ParseCode(const JobRecord& job, const CodeVersion& version, uint32_t step_version);
// What the job began with, as a version.
CodeVersion FirstVersion(const JobRecord& job);
// All of them, for this process's engine.
absl::StatusOr<JobCode> ParseJobCode(const JobRecord& job, const std::vector<CodeVersion>& updates);

// Reads the bucket. Uses the bus's Poll.
absl::StatusOr<JobCode> ReadJobCode(Bus& bus, const JobRecord& job);

}  // namespace millrace
