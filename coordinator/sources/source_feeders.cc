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
constexpr absl::Duration kFirstPause = absl::Milliseconds(500);
constexpr absl::Duration kLongestPause = absl::Seconds(15);

}  // namespace

SourceFeeder::SourceFeeder(SourceJob job, BusMaker connect, Clock& clock)
    : job_(std::move(job)), connect_(std::move(connect)), clock_(clock), thread_([this] { Run(); }) {}

SourceFeeder::~SourceFeeder() {
  Stop();
  thread_.join();
}

void SourceFeeder::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
}

bool SourceFeeder::has_ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

bool SourceFeeder::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

bool SourceFeeder::Pause(absl::Duration pause) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause);
  return stopping_;
}

void SourceFeeder::Run() {
  absl::Duration pause = kFirstPause;
  std::string said;
  while (!stopping()) {
    const absl::Duration begun = clock_.Monotonic();
    const absl::Status ended = FeedOnce();
    if (stopping()) break;
    if (clock_.Monotonic() - begun > kLongestPause) pause = kFirstPause;
    if (said != ended.message()) {
      said = std::string(ended.message());
      LogWarning("a job's source is not read; it is tried again", {{"job", job_.name}, {"error", said}});
    }
    if (Pause(pause)) break;
    pause = std::min(2 * pause, kLongestPause);
  }
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

absl::Status SourceFeeder::FeedOnce() {
  const absl::StatusOr<std::unique_ptr<Bus>> bus = connect_();
  if (!bus.ok()) return bus.status();
  const auto session = SourceSession::Create(job_, RandomId(), **bus, clock_);
  if (!session.ok()) {
    TellSourceTrouble(**bus, job_, ToStd(session.status().message()));
    return session.status();
  }
  LogInfo("reading a job's source", {{"job", job_.name}, {"stream", job_.source.name}});
  while (!stopping() && !(*session)->done()) (*session)->Turn(kIdleWait);
  if (stopping()) return absl::OkStatus();
  // Who was superseded has nothing to say: the other one reads.
  if (!absl::IsAborted((*session)->status())) {
    TellSourceTrouble(**bus, job_, ToStd((*session)->status().message()));
  }
  return (*session)->status();
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
    feeders_[record.uid] = std::make_unique<SourceFeeder>(std::move(source), connect_, clock_);
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
