// The threads that feed the jobs whose sources never end, one a job, in the coordinator that leads. Two
// coordinators that both believe they lead do no harm: the later ingest's epoch fences the earlier one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/clock.h"
#include "coordinator/leader/job_table.h"
#include "coordinator/sources/source_session.h"

namespace millrace {

// A connection of its own for each feeder. Called from its thread.
using BusMaker = std::function<absl::StatusOr<std::unique_ptr<Bus>>()>;

class SourceFeeder {
 public:
  SourceFeeder(SourceJob job, BusMaker connect, Clock& clock);
  ~SourceFeeder();  // Stop, and waits for the thread
  SourceFeeder(const SourceFeeder&) = delete;
  SourceFeeder& operator=(const SourceFeeder&) = delete;

  // Does not wait.
  void Stop();
  bool has_ended() const;

 private:
  void Run();
  absl::Status FeedOnce();
  bool stopping() const;
  bool Pause(absl::Duration pause);  // true: stopping

  const SourceJob job_;
  const BusMaker connect_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

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
  std::map<std::string, std::unique_ptr<SourceFeeder>> feeders_;  // by uid
  std::set<std::string> bounded_;  // uids of jobs that are fed by submit, or cannot be read
  std::vector<std::unique_ptr<SourceFeeder>> ending_;
};

}  // namespace millrace
