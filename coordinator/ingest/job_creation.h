// Makes a job: its record, made once, and its streams. All of it can be cut off at any moment and done again.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/documents.h"
#include "common/cluster/job_code.h"
#include "common/job/job_spec.h"

namespace millrace {

inline constexpr size_t kMaxStreamCreators = 8;  // each stream costs the server some files

struct JobRequest {
  const JobSpec* spec = nullptr;
  std::vector<InputFile> inputs;
  std::string new_uid;  // 16 hex digits: the uid if the job is new
  int64_t now_ms = 0;
  int replicas = 1;                                      // of streams and buckets that are new
  std::string elsewhere = "submit with another --name";  // what to try where the name is taken
  size_t stream_creators = kMaxStreamCreators;           // threads that make streams, the caller's included
};

// The job's record, as it stands in the bucket: a new one, or that of the same job submitted before. Its
// streams are there afterwards. FAILED_PRECONDITION: a job of that name has another file or other inputs, or
// a stream of that name is somebody else's; the message says what differs, and nothing was left behind.
absl::StatusOr<JobRecord> EnsureJob(Bus& bus, const JobRequest& request);

// Makes the streams that a job has with the last version of its code and had with none before: those for verdicts
// of a segment that has run no user code so far. Errors as EnsureJob's.
absl::Status EnsureStreamsOfUpdate(Bus& bus, const JobRecord& job, const JobCode& code,
                                   size_t stream_creators);

// Puts the tables of a job that is fresh from its file where workers find them. REQUIRES: the job's streams are there. Errors:
// the broker's; the same call again goes on.
absl::Status EnsureTables(Bus& bus, const std::string& job, const JobSpec& spec);

// Every stream that the job has.
std::vector<StreamConfig> StreamsOf(const JobRecord& job, const JobSpec& spec, int replicas);

}  // namespace millrace
