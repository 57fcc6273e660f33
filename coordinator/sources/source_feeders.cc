#include "coordinator/sources/source_feeders.h"

#include <algorithm>
#include <utility>

#include "common/job/job_parser.h"
#include "common/log.h"
#include "common/random_id.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kIdleWait = absl::Milliseconds(5);
absl::Status FeedOnce(const SourceJob& job, const BusMaker& connect, const RetryThread& thread,
                      Clock& clock) {
  const absl::StatusOr<std::unique_ptr<Bus>> bus = connect();
  if (!bus.ok()) return bus.status();
  const auto session = SourceSession::Create(job, RandomId(), **bus, clock);
  if (!session.ok()) {
    TellSourceTrouble(**bus, job, ToStd(session.status().message()));
    return session.status();
  }
  LogInfo("reading a job's source", {{"job", job.name}, {"stream", job.source.name}});
  while (!thread.stopping() && !(*session)->done()) (*session)->Turn(kIdleWait);
  if (thread.stopping()) return absl::OkStatus();
  // Who was superseded has nothing to say: the other one reads.
  if (!absl::IsAborted((*session)->status())) {
    TellSourceTrouble(**bus, job, ToStd((*session)->status().message()));
  }
  return (*session)->status();
}

}  // namespace

std::unique_ptr<RetryThread> StartSourceFeeder(SourceJob job, BusMaker connect, Clock& clock) {
  const std::string name = job.name;
  return std::make_unique<RetryThread>(
      [job = std::move(job), connect = std::move(connect), &clock](const RetryThread& thread) {
        return FeedOnce(job, connect, thread, clock);
      },
      [name](const absl::Status& error) {
        LogWarning("a job's source is not read; it is tried again", {{"job", name}, {"error", error}});
      },
      clock);
}

void SourceFeeders::Update(const std::vector<OpenJob>& jobs) {
  std::set<std::string> wanted;
  for (const OpenJob& job : jobs) {
    const JobRecord& record = *job.record;
    if (std::find(job.verbs.begin(), job.verbs.end(), "cancel") != job.verbs.end()) continue;
    wanted.insert(record.uid);
    if (bounded_.contains(record.uid) || feeders_.contains(record.uid)) continue;
    absl::StatusOr<JobSpec> spec = ParseJob(record.name, record.spec_text);
    if (!spec.ok() || !spec->source.unbounded() || record.inputs.empty()) {
      bounded_.insert(record.uid);
      continue;
    }
    SourceJob source = {record.name, record.uid, *std::move(spec), record.inputs.front()};
    feeders_[record.uid] = StartSourceFeeder(std::move(source), connect_, clock_);
  }
  std::erase_if(bounded_, [&](const std::string& uid) { return !wanted.contains(uid); });
  for (auto it = feeders_.begin(); it != feeders_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    it->second->Stop();
    ending_.push_back(std::move(it->second));
    it = feeders_.erase(it);
  }
  std::erase_if(ending_, [](const auto& feeder) { return feeder->has_ended(); });
}

}  // namespace millrace
