// `coordinator update`: a next version of a job's code, and how far it has come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/cluster/job_code.h"
#include "coordinator/ingest/job_creation.h"
#include "coordinator/views/cluster.h"

namespace millrace {

struct UpdateMade {
  uint64_t version = 0;  // in force from each partition's mark on
  bool is_new = false;   // false: the file does what that version does already
};

struct UpdateRequest {
  const JobSpec* next = nullptr;
  int64_t now_ms = 0;
  size_t stream_creators = kMaxStreamCreators;  // threads that make streams, the caller's included
};

// Makes the next version of the job's code, unless `next` is what the newest does. Killed anywhere and run again,
// it makes one version. Uses the bus's Poll. FAILED_PRECONDITION: `next` does not fit the state, another update
// was made at the same time, or there are too many; nothing was changed.
absl::StatusOr<UpdateMade> UpdateCode(Bus& bus, const JobRecord& job, const UpdateRequest& request);

struct UpdateProgress {
  size_t partitions = 0;
  size_t done = 0;      // run the version, or have ended before its mark
  std::string waiting;  // the first that does not, and why where it says so
};
// Pure.
UpdateProgress ProgressOf(const Cluster& cluster, const JobRecord& job, uint64_t version);

}  // namespace millrace
