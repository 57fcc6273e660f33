// Brings an input into a job that was made, and waits for the job's end: what `submit` and `copy` share. Says on
// standard error what people want to know of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/job/job_spec.h"
#include "common/pipeline/pipeline.h"
#include "coordinator/ingest/feed_bar.h"
#include "coordinator/ingest/ingest.h"
#include "coordinator/ingest/record_input.h"

namespace millrace {

struct FeedLimits {
  absl::Duration start;  // by the clock's Monotonic
  absl::Duration timeout = absl::InfiniteDuration();
};

// Uses the bus's Poll. Not thread-safe. `spec`, `bus` and `clock` must outlive it.
class JobFeed {
 public:
  JobFeed(const JobSpec& spec, std::string uid, Bus& bus, Clock& clock, const FeedLimits& limits);

  // Whether and how the job has ended: see final_status(). Says so where it has not completed.
  absl::Status LookAtEnd();
  const std::optional<FinalStatus>& final_status() const { return final_; }

  // What all of that writer's input was, where it was fed before. REQUIRES: LookAtEnd was called.
  absl::StatusOr<std::optional<InputFed>> FindFedBefore(const std::string& writer);
  // Feeds it to its end, or until the job has ended. Errors: those of Ingest::status and CheckTime.
  absl::Status Feed(const std::string& writer, RecordInput& input, KeyExtractor& extractor,
                    const FeedTotal& total);
  // And until all of its results are out, where the job brings them out.
  absl::Status WaitForEnd();
  // CANCELLED: a stop signal came; DEADLINE_EXCEEDED.
  absl::Status CheckTime() const;

  uint64_t records() const { return records_; }
  // For scripts: a JSON document, and what the job's end means to them.
  std::string Json() const;
  int ExitCode() const;

 private:
  absl::StatusOr<IngestOptions> Options(const std::string& writer);
  absl::Status WaitForSink();
  absl::Status LookAtSink(std::string* told, bool* done);
  absl::Status Drive(Ingest& ingest, RecordInput& input, FeedBar& bar);

  const JobSpec& spec_;
  const std::string uid_;
  Bus& bus_;
  Clock& clock_;
  const FeedLimits limits_;
  std::optional<FinalStatus> final_;
  uint64_t records_ = 0;
  uint64_t rejected_ = 0;
};

}  // namespace millrace
