// The threads that feed the jobs whose sources never end, one a job, in the coordinator that leads. Two
// coordinators that both believe they lead do no harm: the later ingest's epoch fences the earlier one.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/bus/bus.h"
#include "common/bus/bus_maker.h"
#include "common/clock.h"
#include "common/retry_thread.h"
#include "coordinator/leader/job_table.h"
#include "coordinator/sources/source_session.h"

namespace millrace {

// Feeds a job from its source until it is destroyed.
std::unique_ptr<RetryThread> StartSourceFeeder(SourceJob job, BusMaker connect, Clock& clock);

// Not thread-safe.
class SourceFeeders {
 public:
  // Both outlive it.
  SourceFeeders(BusMaker connect, Clock& clock) : connect_(std::move(connect)), clock_(clock) {}

  // `jobs`: those that this coordinator is in charge of, none when it does not lead. Starts and stops feeders,
  // and waits for none of them.
  void Update(const std::vector<OpenJob>& jobs);
  size_t feeding() const { return feeders_.size(); }

 private:
  const BusMaker connect_;
  Clock& clock_;
  std::map<std::string, std::unique_ptr<RetryThread>> feeders_;  // by uid
  std::set<std::string> bounded_;  // uids of jobs that are fed by submit, or cannot be read
  std::vector<std::unique_ptr<RetryThread>> ending_;
};

}  // namespace millrace
