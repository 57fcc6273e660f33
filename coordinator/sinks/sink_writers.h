// The threads that bring results out of their streams to the jobs' sinks, one a job, in the coordinator that leads.
// Two coordinators that both believe they lead do no harm: the outlet keeps one of them out.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/bus/bus_maker.h"
#include "common/clock.h"
#include "common/cluster/documents.h"
#include "common/metrics.h"
#include "common/retry_thread.h"
#include "coordinator/sinks/make_outlet.h"

namespace millrace {

class SinkWriter {
 public:
  SinkWriter(SinkJob job, BusMaker connect, Clock& clock, Metrics& metrics);

  // Does not wait. `job_may_be_gone`: then it looks, and takes away what a job that was deleted left beside its results.
  void Stop(bool job_may_be_gone);  // NOLINT: the name of the flag is its meaning
  bool has_ended() const { return thread_->has_ended(); }

 private:
  absl::Status BringOut(const RetryThread& thread);
  bool LookWhetherGone(Bus& bus, const RetryThread& thread, const absl::Status& status) const;

  const SinkJob job_;
  const BusMaker connect_;
  Clock& clock_;
  Metrics& metrics_;
  std::atomic<bool> job_may_be_gone_{false};
  std::unique_ptr<RetryThread> thread_;  // last: it uses the rest
};

// Not thread-safe.
class SinkWriters {
 public:
  // All outlive it.
  SinkWriters(BusMaker connect, Clock& clock, Metrics& metrics)
      : connect_(std::move(connect)), clock_(clock), metrics_(metrics) {}

  // `jobs`: those that may have results to bring out, none when this coordinator does not lead. Starts and stops
  // writers, and waits for none of them.
  void Update(const std::vector<const JobRecord*>& jobs);
  size_t writing() const { return writers_.size(); }

 private:
  const BusMaker connect_;
  Clock& clock_;
  Metrics& metrics_;
  std::map<std::string, std::unique_ptr<SinkWriter>> writers_;  // by uid
  std::set<std::string> staying_;  // uids of jobs whose results stay where they are
  std::vector<std::unique_ptr<SinkWriter>> ending_;
};

}  // namespace millrace
