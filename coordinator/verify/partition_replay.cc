#include "coordinator/verify/partition_replay.h"

#include <utility>

#include "common/names.h"
#include "common/strings.h"

namespace millrace {
PartitionReplay::PartitionReplay(const SegmentSpec& segment, WriterCursors cursors, PartitionId partition,
                                 VerdictAttempts attempts, Offset offset)
    : segment_(segment.id),
      partition_(partition),
      partitions_(segment.job.partitions),
      attempts_(std::move(attempts)),
      input_(segment.InputWriters(), std::move(cursors)),
      offset_(offset) {}

absl::StatusOr<std::unique_ptr<PartitionReplay>> PartitionReplay::Create(
    const SegmentSpec& segment, const std::string& uid, PartitionId partition, VerdictAttempts attempts,
    const ReplayStart& start, UnitObserver* units) {
  PipelineOptions options;
  options.units = units;
  auto pipeline = Pipeline::Create(segment.job, options);
  if (!pipeline.ok()) return pipeline.status();
  auto cursors = start.commit.has_value() ? WriterCursors::Decode(start.commit->input_cursors)
                                          : absl::StatusOr<WriterCursors>(WriterCursors(uid));
  if (!cursors.ok()) return cursors.status();
  auto replay = std::unique_ptr<PartitionReplay>(
      new PartitionReplay(segment, *std::move(cursors), partition, std::move(attempts), start.offset));
  replay->pipeline_ = *std::move(pipeline);
  return replay;
}

absl::Status PartitionReplay::Take(const Message& message, StepSink& sink, const Crossed& crossed) {
  StepInput input;
  input.offset = Offset(message.sequence);
  input.broker_time_ms = absl::ToUnixMillis(absl::FromUnixNanos(message.time_ns));
  input.segment = segment_;
  input.partition = partition_;
  input.partitions = partitions_;
  input.attempts = &attempts_;
  offset_ = input.offset;
  const auto damaged = [&](const absl::Status& why) {
    return absl::DataLossError(StrCat("input message ", message.sequence, " of partition ",
                                      PartitionText(segment_, partition_), ": ", ToStd(why.message())));
  };
  const auto read = ReadMessageHeader(message.header);
  if (!read.ok()) return damaged(read.status());
  if (const std::optional<MessageHeader>& header = *read) {
    const auto taken = input_.Offer(*header);
    if (!taken.has_value()) {
      ++dropped_messages_;
      return absl::OkStatus();
    }
    auto frame = FrameView::Parse(message.payload);
    if (!frame.ok()) return damaged(frame.status());
    frame_ = *std::move(frame);
    input.frame = &frame_;
    input.taken_until = taken->taken_until;
    input.ends_input = taken->ends_input;
    input.watermark_ms = input_.RaiseWatermark(header->writer, frame_.watermark_ms());
    if (crossed && header->kind == FrameKind::kResults) TellCrossed(*header, taken->taken_until, crossed);
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

void PartitionReplay::TellCrossed(const MessageHeader& header, const Mark& taken_until,
                                  const Crossed& crossed) const {
  FrameView::Cursor records = frame_.records();
  RecordView record;
  while (records.Next(&record)) {
    if (Mark{record.offset.value(), record.index} >= taken_until) crossed(header, record);
  }
}

}  // namespace millrace
