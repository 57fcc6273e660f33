#include "coordinator/verify/partition_replay.h"

#include <utility>

#include "common/names.h"
#include "common/strings.h"

namespace millrace {
PartitionReplay::PartitionReplay(SegmentVersions versions, WriterCursors cursors, PartitionId partition,
                                 VerdictAttempts attempts, Offset offset, const ReplayAids& aids)
    : versions_(std::move(versions)),
      segment_(versions_.front()->id),
      partition_(partition),
      partitions_(versions_.front()->job.partitions),
      aids_(aids),
      attempts_(std::move(attempts)),
      input_(versions_.front()->InputWriters(), std::move(cursors)),
      offset_(offset) {}

absl::StatusOr<std::unique_ptr<PartitionReplay>> PartitionReplay::Create(
    SegmentVersions versions, const std::string& uid, PartitionId partition, VerdictAttempts attempts,
    const ReplayStart& start, const ReplayAids& aids) {
  auto cursors = start.commit.has_value() ? WriterCursors::Decode(start.commit->input_cursors)
                                          : absl::StatusOr<WriterCursors>(WriterCursors(uid));
  if (!cursors.ok()) return cursors.status();
  auto replay = std::unique_ptr<PartitionReplay>(new PartitionReplay(
      std::move(versions), *std::move(cursors), partition, std::move(attempts), start.offset, aids));
  const absl::Status runs = replay->UseCode(replay->input_.code_version());
  if (!runs.ok()) return runs;
  return replay;
}

absl::Status PartitionReplay::UseCode(uint64_t version) {
  if (version >= versions_.size()) {
    return absl::UnavailableError(StrCat("version ", version,
                                         " of the job's code, which the log comes to, was "
                                         "made meanwhile — try again"));
  }
  PipelineOptions options;
  options.units = aids_.units;
  if (aids_.handlers != nullptr) {
    calls_ = aids_.handlers->MakeMemos(versions_[version]->job, input_.cursors().uid(), aids_.answers);
    options.calls = calls_.get();
  }
  auto pipeline = Pipeline::Create(versions_[version]->job, options);
  if (!pipeline.ok()) return pipeline.status();
  pipeline_ = *std::move(pipeline);
  code_version_ = version;
  return absl::OkStatus();
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
    if (step->done) break;
    input.first_record = step->resume_record;
    if (!step->waits_for_calls) continue;
    if (absl::Status status = aids_.handlers->Await(*calls_, &attempts_, aids_.answers); !status.ok())
      return status;
  }
  if (calls_ != nullptr) calls_->Finish(input.offset);
  return input_.code_version() == code_version_ ? absl::OkStatus() : UseCode(input_.code_version());
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
