#include "coordinator/verify/partition_replay.h"

#include <utility>

#include "common/strings.h"

namespace millrace {
PartitionReplay::PartitionReplay(const JobSpec& spec, const std::string& uid, PartitionId partition,
                                 VerdictAttempts attempts)
    : partition_(partition), partitions_(spec.partitions), attempts_(std::move(attempts)), cursors_(uid) {}

absl::StatusOr<std::unique_ptr<PartitionReplay>> PartitionReplay::Create(const JobSpec& spec,
                                                                         const std::string& uid,
                                                                         PartitionId partition,
                                                                         VerdictAttempts attempts) {
  auto pipeline = Pipeline::Create(spec, PipelineOptions());
  if (!pipeline.ok()) return pipeline.status();
  auto replay =
      std::unique_ptr<PartitionReplay>(new PartitionReplay(spec, uid, partition, std::move(attempts)));
  replay->pipeline_ = *std::move(pipeline);
  return replay;
}

absl::Status PartitionReplay::Take(const Message& message, StepSink& sink) {
  StepInput input;
  input.offset = Offset(message.sequence);
  input.broker_time_ms = absl::ToUnixMillis(absl::FromUnixNanos(message.time_ns));
  input.partition = partition_;
  input.partitions = partitions_;
  input.attempts = &attempts_;
  offset_ = input.offset;
  const auto header = ParseMessageHeader(message.header);
  if (header.ok()) {
    const bool had_ended = cursors_.Get(kIngestWriter).ended;
    if (cursors_.Offer(*header) != WriterCursors::Verdict::kTake) {
      ++dropped_messages_;
      return absl::OkStatus();
    }
    auto frame = FrameView::Parse(message.payload);
    if (!frame.ok()) {
      return absl::DataLossError(StrCat("input message ", message.sequence, " of partition ",
                                        partition_.value(), ": ", ToStd(frame.status().message())));
    }
    frame_ = *std::move(frame);
    input.frame = &frame_;
    input.ends_input = !had_ended && cursors_.Get(kIngestWriter).ended;
  } else {
    input.stranger = true;
    input.payload = message.payload;
  }
  while (true) {
    // The delay of a retry is the worker's; the record's next attempt is the same here without it.
    const auto step = pipeline_->Step(input, state_, sink);
    if (!step.ok()) return step.status();
    if (step->done) return absl::OkStatus();
    input.first_record = step->resume_record;
  }
}

}  // namespace millrace
