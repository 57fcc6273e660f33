#include "coordinator/sinks/sink_writers.h"

#include <algorithm>
#include <utility>

#include "common/job/job_parser.h"
#include "common/log.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/sinks/sink_session.h"

namespace millrace {
namespace {

constexpr absl::Duration kSinkIdleWait = absl::Milliseconds(50);
constexpr absl::Duration kDeletionPatience = absl::Seconds(10);
constexpr absl::Duration kDeletionPoll = absl::Milliseconds(200);

// Asked of the broker: whoever stops a writer may just have lost the lead.
bool IsGone(Bus& bus, const JobRecord& job) {
  const absl::StatusOr<KeyValue> there = bus.GetKey(kJobsBucket, JobKey(job.name));
  if (absl::IsNotFound(there.status())) return true;
  const absl::StatusOr<JobRecord> record = there.ok() ? DecodeJobRecord(there->value) : there.status();
  return record.ok() && record->uid != job.uid;
}

bool HasEnded(Bus& bus, const JobRecord& job) {
  return bus.GetKey(kAssignmentsBucket, FinalKey(job.uid)).ok();
}

}  // namespace

SinkWriter::SinkWriter(SinkJob job, BusMaker connect, Clock& clock, Metrics& metrics)
    : job_(std::move(job)), connect_(std::move(connect)), clock_(clock), metrics_(metrics) {
  thread_ =
      std::make_unique<RetryThread>([this](const RetryThread& thread) { return BringOut(thread); },
                                    [this](const absl::Status& error) {
                                      LogWarning("a job's results are not brought out; it is tried again",
                                                 {{"job", job_.record.name}, {"error", error}});
                                    },
                                    clock_);
}

void SinkWriter::Stop(bool job_may_be_gone) {
  job_may_be_gone_ = job_may_be_gone;
  thread_->Stop();
}

absl::Status SinkWriter::BringOut(const RetryThread& thread) {
  const absl::StatusOr<std::unique_ptr<Bus>> bus = connect_();
  if (!bus.ok()) return bus.status();
  const absl::StatusOr<std::unique_ptr<Outlet>> made =
      MakeOutlet(job_, **bus, connect_, clock_, [&thread] { return thread.stopping(); });
  if (!made.ok()) return made.status();
  Outlet* const outlet = made->get();
  const Counter records_out =
      metrics_.MakeCounter("sink_records_total", "Results brought out to the job's sink by this coordinator.",
                           {{"job", job_.record.name}});
  const auto session = SinkSession::Create(job_.record, *outlet, **bus, clock_, records_out);
  if (session.ok()) {
    LogInfo("bringing results out", {{"job", job_.record.name}, {"to", outlet->ToString()}});
  }
  absl::Status status = session.status();
  while (status.ok() && !thread.stopping() && !(*session)->done()) status = (*session)->Turn(kSinkIdleWait);
  if (session.ok() && (*session)->done()) {
    LogInfo("all results are out", {{"job", job_.record.name}, {"to", outlet->ToString()}});
    // What lies beside them may stay: all is out.
    if (!status.ok())
      LogWarning("something was left beside results", {{"job", job_.record.name}, {"error", status}});
    return absl::OkStatus();
  }
  if (LookWhetherGone(**bus, thread, status)) {
    outlet->End().IgnoreError();
    return absl::OkStatus();
  }
  if (thread.stopping()) return absl::OkStatus();
  TellSinkTrouble(**bus, job_.record.uid, outlet->ToString(), ToStd(status.message()));
  return status;
}

// Deleting a job begins with its streams, and its record goes last: what is at hand is held until then. Any trouble
// may come of a job that is gone, and is then nobody's.
bool SinkWriter::LookWhetherGone(Bus& bus, const RetryThread& thread, const absl::Status& status) const {
  if (thread.stopping()) return job_may_be_gone_ && IsGone(bus, job_.record);
  if (!absl::IsNotFound(status)) return IsGone(bus, job_.record);
  const absl::Duration deadline = clock_.Monotonic() + kDeletionPatience;
  while (!IsGone(bus, job_.record)) {
    if (!HasEnded(bus, job_.record) || clock_.Monotonic() > deadline) return false;
    clock_.Sleep(kDeletionPoll);
  }
  return true;
}

void SinkWriters::Update(const std::vector<const JobRecord*>& jobs) {
  std::set<std::string> wanted;
  for (const JobRecord* record : jobs) {
    wanted.insert(record->uid);
    if (staying_.contains(record->uid) || writers_.contains(record->uid)) continue;
    const absl::StatusOr<JobSpec> spec = ParseJob(record->name, record->spec_text);
    if (!spec.ok() || !spec->sink.goes_out()) {
      staying_.insert(record->uid);
      continue;
    }
    writers_[record->uid] =
        std::make_unique<SinkWriter>(SinkJob{*record, spec->sink}, connect_, clock_, metrics_);
  }
  std::erase_if(staying_, [&](const std::string& uid) { return !wanted.contains(uid); });
  for (auto it = writers_.begin(); it != writers_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    it->second->Stop(/*job_may_be_gone=*/true);
    ending_.push_back(std::move(it->second));
    it = writers_.erase(it);
  }
  std::erase_if(ending_, [](const auto& writer) { return writer->has_ended(); });
}

}  // namespace millrace
