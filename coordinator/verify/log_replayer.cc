#include "coordinator/verify/log_replayer.h"

#include <utility>

#include "common/frame/verdict.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
absl::StatusOr<VerdictAttempts> ReadVerdictAttempts(Bus& bus, Clock& clock, const JobRecord& job,
                                                    const SegmentVersions& versions, PartitionId partition) {
  VerdictAttempts attempts;
  if (!RunsUserCode(versions)) return attempts;
  const std::string name = VerdictStream(job.name, versions.front()->id, partition);
  const auto info = bus.GetStream(name);
  if (!info.ok()) return info.status();
  StreamSet streams(bus, clock);
  const auto stream = streams.Open({name, 1, info->last_sequence});
  WriterCursors cursors(job.uid);
  while (true) {
    const auto message = streams.Next(stream);
    if (!message.ok()) return message.status();
    if (!message->has_value()) return attempts;
    const auto read = ReadMessageHeader((*message)->header);
    if (!read.ok()) return read.status();
    const std::optional<MessageHeader>& header = *read;
    if (!header.has_value() || cursors.Offer(*header) != WriterCursors::Verdict::kTake) continue;
    if (header->kind != FrameKind::kVerdict) continue;
    const auto verdict = ParseVerdict((*message)->payload);
    if (!verdict.ok()) return verdict.status();
    CountVerdict(*verdict, &attempts);
  }
}

LogReplayer::LogReplayer(StreamSet& streams, StreamSet::Id input, Offset end,
                         std::unique_ptr<PartitionReplay> replay)
    : streams_(streams), input_(input), end_(end), replay_(std::move(replay)) {}

absl::StatusOr<std::unique_ptr<LogReplayer>> LogReplayer::Open(
    Bus& bus, StreamSet& streams, Clock& clock, const JobRecord& job, const SegmentVersions& versions,
    PartitionId partition, ReplayStarts& starts, const ReplayStart& start, const ReplayAids& aids) {
  const SegmentSpec& segment = *versions.front();
  auto attempts = ReadVerdictAttempts(bus, clock, job, versions, partition);
  if (!attempts.ok()) return attempts.status();
  auto replay = PartitionReplay::Create(versions, job.uid, partition, *std::move(attempts), start, aids);
  if (!replay.ok()) return replay.status();
  if (start.commit.has_value()) {
    if (absl::Status loaded = starts.Load(start, &(*replay)->state()); !loaded.ok()) return loaded;
  }
  const std::string name = InputStream(job.name, segment.id, partition);
  const auto info = bus.GetStream(name);
  if (!info.ok()) return info.status();
  const auto input = streams.Open({name, start.offset.value() + 1, info->last_sequence});
  return std::unique_ptr<LogReplayer>(
      new LogReplayer(streams, input, Offset(info->last_sequence), *std::move(replay)));
}

absl::StatusOr<bool> LogReplayer::Step(StepSink& sink, const PartitionReplay::Crossed& crossed) {
  if (!failure_.ok()) return false;
  const auto message = streams_.Next(input_);
  if (!message.ok()) return message.status();
  if (!message->has_value()) return false;
  bytes_ += (*message)->payload.size();
  const absl::Status status = replay_->Take(**message, sink, crossed);
  if (absl::IsAborted(status)) {
    failure_ = status;
    return false;
  }
  if (!status.ok()) return status;
  return true;
}

}  // namespace millrace
