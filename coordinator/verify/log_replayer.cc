#include "coordinator/verify/log_replayer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/frame/verdict.h"
#include "common/handler/handler_stages.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

bool CallsServices(const SegmentVersions& versions) {
  return std::any_of(versions.begin(), versions.end(), [](const auto& version) {
    const std::vector<HandlerStage> stages = HandlerStagesOf(version->job, "");
    return std::any_of(stages.begin(), stages.end(),
                       [](const HandlerStage& stage) { return stage.is_recorded(); });
  });
}

}  // namespace

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
    const auto verdicts = ParseVerdicts((*message)->payload);
    if (!verdicts.ok()) return verdicts.status();
    for (const Verdict& verdict : *verdicts) CountVerdict(verdict, &attempts);
  }
}

LogReplayer::LogReplayer(StreamSet& streams, StreamSet::Id input, Offset end, Parts parts)
    : streams_(streams),
      input_(input),
      end_(end),
      answers_(std::move(parts.answers)),
      replay_(std::move(parts.replay)) {}

absl::StatusOr<std::unique_ptr<LogReplayer>> LogReplayer::Open(
    Bus& bus, StreamSet& streams, Clock& clock, const JobRecord& job, const SegmentVersions& versions,
    PartitionId partition, ReplayStarts& starts, const ReplayStart& start, const ReplayAids& aids) {
  const SegmentSpec& segment = *versions.front();
  auto attempts = ReadVerdictAttempts(bus, clock, job, versions, partition);
  if (!attempts.ok()) return attempts.status();
  std::unique_ptr<RecordedAnswerLog> answers;
  ReplayAids all_aids = aids;
  if (CallsServices(versions)) {
    auto opened = RecordedAnswerLog::Open(bus, streams, job, segment.id, partition);
    if (!opened.ok()) return opened.status();
    answers = *std::move(opened);
    answers->ForgetUpTo(start.offset);
    all_aids.answers = answers.get();
  }
  auto replay = PartitionReplay::Create(versions, job.uid, partition, *std::move(attempts), start, all_aids);
  if (!replay.ok()) return replay.status();
  if (start.commit.has_value()) {
    if (absl::Status loaded = starts.Load(start, &(*replay)->state()); !loaded.ok()) return loaded;
  }
  const std::string name = InputStream(job.name, segment.id, partition);
  const auto info = bus.GetStream(name);
  if (!info.ok()) return info.status();
  const auto input = streams.Open({name, start.offset.value() + 1, info->last_sequence});
  return std::unique_ptr<LogReplayer>(
      new LogReplayer(streams, input, Offset(info->last_sequence), {std::move(answers), *std::move(replay)}));
}

absl::StatusOr<bool> LogReplayer::Step(StepSink& sink, const PartitionReplay::Crossed& crossed) {
  if (!failure_.ok() || undecided_.has_value()) return false;
  const auto message = streams_.Next(input_);
  if (!message.ok()) return message.status();
  if (!message->has_value()) return false;
  bytes_ += (*message)->payload.size();
  const absl::Status status = replay_->Take(**message, sink, crossed);
  if (absl::IsAborted(status)) {
    failure_ = status;
    return false;
  }
  if (absl::IsOutOfRange(status)) {
    undecided_ = Offset((*message)->sequence);
    return false;
  }
  if (!status.ok()) return status;
  if (answers_ != nullptr) answers_->ForgetUpTo(Offset((*message)->sequence));
  return true;
}

}  // namespace millrace
