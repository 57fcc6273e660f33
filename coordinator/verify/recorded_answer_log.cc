#include "coordinator/verify/recorded_answer_log.h"

#include <optional>
#include <utility>
#include <vector>

#include "common/frame/message_header.h"
#include "common/frame/verdict.h"
#include "common/names.h"

namespace millrace {

RecordedAnswerLog::RecordedAnswerLog(StreamSet& streams, StreamSet::Id stream, const std::string& uid)
    : streams_(streams), stream_(stream), cursors_(uid) {}

RecordedAnswerLog::~RecordedAnswerLog() { streams_.Close(stream_); }

absl::StatusOr<std::unique_ptr<RecordedAnswerLog>> RecordedAnswerLog::Open(Bus& bus, StreamSet& streams,
                                                                           const JobRecord& job,
                                                                           SegmentId segment,
                                                                           PartitionId partition) {
  const std::string name = VerdictStream(job.name, segment, partition);
  const absl::StatusOr<StreamInfo> info = bus.GetStream(name);
  if (!info.ok()) return info.status();
  const StreamSet::Id stream = streams.Open({name, 1, info->last_sequence});
  return std::unique_ptr<RecordedAnswerLog>(new RecordedAnswerLog(streams, stream, job.uid));
}

absl::StatusOr<std::shared_ptr<const std::string>> RecordedAnswerLog::Find(const std::string& stage,
                                                                           const HandlerCall& call) {
  while (true) {
    if (auto found = answers_.Find(stage, call)) return found;
    if (at_end_ || answers_.bytes() > kMaxAnswerBytesAhead) return std::shared_ptr<const std::string>();
    const absl::StatusOr<bool> read = ReadOn();
    if (!read.ok()) return read.status();
  }
}

void RecordedAnswerLog::ForgetUpTo(Offset offset) {
  done_ = offset;
  answers_.ForgetUpTo(offset);
}

// False: the message had nothing for us.
absl::StatusOr<bool> RecordedAnswerLog::ReadOn() {
  const absl::StatusOr<std::optional<Message>> message = streams_.Next(stream_);
  if (!message.ok()) return message.status();
  at_end_ = !message->has_value();
  if (at_end_) return false;
  const auto header = ReadMessageHeader((*message)->header);
  if (!header.ok()) return header.status();
  const bool counts = header->has_value() && cursors_.Offer(**header) == WriterCursors::Verdict::kTake;
  if (!counts || (*header)->kind != FrameKind::kVerdict) return false;
  const absl::StatusOr<std::vector<Verdict>> verdicts = ParseVerdicts((*message)->payload);
  if (!verdicts.ok()) return verdicts.status();
  for (const Verdict& verdict : *verdicts) {
    if (verdict.outcome == Verdict::Outcome::kAnswered && verdict.offset > done_) answers_.Add(verdict);
  }
  return true;
}

}  // namespace millrace
