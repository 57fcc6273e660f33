// dead-letters retry: brings the records of dead letters back to their partitions' logs, each once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/job/segments.h"
#include "coordinator/dead_letters/letter_marks.h"
#include "coordinator/dead_letters/retry_log.h"

namespace millrace {

struct RetryReport {
  uint64_t retried = 0;
  uint64_t retried_before = 0;
  std::vector<std::string> refused;  // "0.3.17.2: why"
};

// Uses the bus's Poll. Not thread-safe.
class LetterRetry {
 public:
  LetterRetry(Bus& bus, Clock& clock, const JobRecord& job, const JobSpec& spec)
      : bus_(bus), clock_(clock), job_(job), spec_(spec) {}

  // Retries these letters, or without `ids` all that were not. May die anywhere and be run again. NOT_FOUND:
  // there is no letter of one of the ids. What cannot be retried is in the report.
  absl::StatusOr<RetryReport> Run(const std::vector<std::string>& ids);

 private:
  absl::Status Retry(const LetterJson& letter, RetryReport* report);
  absl::StatusOr<bool> BringBack(const std::string& id, const LetterPlace& place);
  absl::StatusOr<RetryLog*> LogOf(const LetterPlace& place);
  absl::Status Mark(const std::string& id, const LetterPlace& place, Offset offset);

  Bus& bus_;
  Clock& clock_;
  const JobRecord job_;
  const JobSpec spec_;
  std::map<std::pair<SegmentId, PartitionId>, std::unique_ptr<RetryLog>> logs_;
};

}  // namespace millrace
