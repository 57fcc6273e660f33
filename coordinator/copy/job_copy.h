// Makes a job of another one's input: the way to more partitions, since their number is fixed for a job's life.
//
//   look      the job that is copied: the code in force, and logs that are whole and get no more input
//   make      the copy's record, made once; its inputs are those logs (copied_log.h)
//   feed      their records (copy_input.h), by the ingest that brings files into a job
//
// Whatever dies, the same command goes on: with what the record names, where the copy's own streams say it was. The
// copy runs the code in force from its first record on. When it is fed it needs the other job no more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/job_code.h"
#include "coordinator/copy/copied_log.h"
#include "coordinator/copy/copy_request.h"
#include "coordinator/ingest/job_feed.h"
#include "coordinator/views/cluster.h"

namespace millrace {

// Uses the bus's Poll. Not thread-safe. REQUIRES: CheckCopyRequest was OK with the request.
class JobCopy {
 public:
  JobCopy(const CopyRequest& request, const FeedLimits& limits, Bus& bus, Clock& clock);

  // NOT_FOUND: no such job. FAILED_PRECONDITION: it cannot be copied, or the name is another job's. DATA_LOSS: its
  // logs are gone or damaged; what was copied so far stays.
  absl::Status Run();
  absl::Status WaitForEnd() { return feed_->WaitForEnd(); }  // REQUIRES: Run went well
  const JobFeed& feed() const { return *feed_; }             // likewise

 private:
  bool HasItsWholeInput(const JobRecord& job) const;
  absl::Status FindJob();
  absl::Status FindLogs();
  absl::StatusOr<JobRecord> MakeJob();
  absl::Status CopyTables();
  absl::Status FeedCopy(const KeySpec& old_key);
  absl::Status ExplainStop(const absl::Status& status) const;

  const CopyRequest request_;
  const FeedLimits limits_;
  Bus& bus_;
  Clock& clock_;
  Cluster cluster_;
  JobRecord job_;  // that is copied
  JobCode code_;   // its own
  JobSpec spec_;   // of the copy
  std::vector<CopiedLog> logs_;
  std::optional<JobFeed> feed_;  // once there is the copy
};

}  // namespace millrace
