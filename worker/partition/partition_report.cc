// What a partition tells of itself.
#include <algorithm>

#include "common/strings.h"
#include "worker/partition/partition.h"

namespace millrace {
namespace {

// The broker's clock and this machine's may differ.
double AgeSeconds(const Message& message, absl::Time now) {
  return std::max(0.0, absl::ToDoubleSeconds(now - absl::FromUnixNanos(message.time_ns)));
}

}  // namespace

// For the first message of each turn: a turn that finds many has the lane to itself, and reading the clock for
// each would cost what a message of a few records costs.
bool Partition::MeasureStep() {
  // What goes on after a retry has begun before.
  if (!retrying_ && !front_.has_value())
    metrics_.queue_seconds.Observe(AgeSeconds(queue_.front(), clock_.Now()));
  const absl::Duration began = clock_.Monotonic();
  const bool finished = StepOne();
  metrics_.process_seconds.Observe(absl::ToDoubleSeconds(clock_.Monotonic() - began));
  return finished;
}

void Partition::ShowWaiting() {
  metrics_.inflight.Set(static_cast<double>(outputs_->in_flight() + dead_letters_.in_flight()));
  metrics_.queue_depth.Set(static_cast<double>(queue_.size()));
  metrics_.oldest_record_seconds.Set(queue_.empty() ? 0 : AgeSeconds(queue_.front(), clock_.Now()));
}

PartitionReport Partition::Report() const {
  PartitionReport report;
  report.job = key().job;
  report.uid = key().uid;
  report.segment = key().segment.value();
  report.partition = key().partition.value();
  report.epoch = epoch().value();
  report.offset = offset_.value();
  report.committed_offset = committed_offset_.value();
  report.committed_at_ms = committed_at_ms_;
  report.checkpoint_offset = checkpoint_offset_.value();
  report.stored_for_move = moves_ && checkpoint_offset_ >= moves_from_;
  const Progress& progress = opened_->store->progress();
  report.records_in = progress.records_in;
  report.records_out = progress.records_out;
  report.dead_letters = progress.dead_letters;
  report.retries = progress.retries;
  report.skipped = progress.skipped;
  report.inspected = Inspected();
  report.code_version = code_version_;
  report.state_keys = opened_->store->state_keys();
  report.state_bytes = opened_->store->state_bytes();
  report.reason = reason_;
  if (reason_.empty() && wanted_version_ >= opened_->versions.size()) {
    report.reason = StrCat("waits for version ", wanted_version_, " of the job's code");
  }
  if (report.reason.empty() && phase_ == Phase::kRunning && !queue_.empty()) {
    report.reason = parts_.calls->WaitsFor(Offset(queue_.front().sequence));
  }
  switch (phase_) {
    case Phase::kRunning:
      report.state = completed() ? "completed" : paused_ ? "paused" : "running";
      break;
    case Phase::kReleasing:
    case Phase::kReleased:
      report.state = "released";
      break;
    case Phase::kStopped:
      report.state = "stopped";
      break;
    case Phase::kFailed:
      report.state = "failed";
      break;
  }
  return report;
}

absl::StatusOr<std::string> Partition::StateJson(std::string_view state_key) {
  return pipeline_->StateJson(*opened_->store, state_key);
}

absl::Status Partition::ScanStateJson(const ScanRange& range,
                                      const std::function<bool(std::string_view, std::string)>& visit) {
  return pipeline_->ScanStateJson(*opened_->store, range, visit);
}

}  // namespace millrace
