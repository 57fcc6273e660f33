#include "coordinator/verify/recorded_answer_log.h"

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "common/frame/message_header.h"
#include "common/names.h"

namespace millrace {

RecordedAnswerLog::RecordedAnswerLog(StreamSet& streams, StreamRange range, const std::string& uid,
                                     size_t max_bytes)
    : streams_(streams),
      range_(std::move(range)),
      max_bytes_(max_bytes),
      place_{streams.Open(range_), WriterCursors(uid)} {}

RecordedAnswerLog::~RecordedAnswerLog() { streams_.Close(place_.stream); }

absl::StatusOr<std::unique_ptr<RecordedAnswerLog>> RecordedAnswerLog::Open(Bus& bus, StreamSet& streams,
                                                                           const JobRecord& job,
                                                                           SegmentId segment,
                                                                           PartitionId partition,
                                                                           size_t max_bytes) {
  const std::string name = VerdictStream(job.name, segment, partition);
  const absl::StatusOr<StreamInfo> info = bus.GetStream(name);
  if (!info.ok()) return info.status();
  return absl::WrapUnique(new RecordedAnswerLog(streams, {name, 1, info->last_sequence}, job.uid, max_bytes));
}

absl::StatusOr<std::shared_ptr<const std::string>> RecordedAnswerLog::Find(const std::string& stage,
                                                                           const HandlerCall& call) {
  while (true) {
    if (auto found = answers_.Find(stage, call)) return found;
    if (at_end_ || call.place.offset <= searched_) return std::shared_ptr<const std::string>();
    const bool has_room = answers_.bytes() < max_bytes_;
    const absl::Status read = has_room ? ReadOn() : Search(call.place.offset);
    if (!read.ok()) return read;
  }
}

void RecordedAnswerLog::ForgetUpTo(Offset offset) {
  done_ = offset;
  answers_.ForgetUpTo(offset);
}

absl::Status RecordedAnswerLog::ReadOn() {
  const absl::StatusOr<std::optional<std::vector<Verdict>>> answers = Next(&place_);
  if (!answers.ok()) return answers.status();
  at_end_ = !answers->has_value();
  if (at_end_) return absl::OkStatus();
  for (const Verdict& answer : **answers) {
    if (answer.offset > done_) answers_.Add(answer);
  }
  return absl::OkStatus();
}

absl::Status RecordedAnswerLog::Search(Offset offset) {
  Place place = place_;
  place.stream = streams_.Open({range_.stream, place_.read + 1, range_.last});
  const absl::Cleanup close = [&] { streams_.Close(place.stream); };
  while (place.read < range_.last) {
    const absl::StatusOr<std::optional<std::vector<Verdict>>> answers = Next(&place);
    if (!answers.ok()) return answers.status();
    if (!answers->has_value()) break;
    for (const Verdict& answer : **answers) {
      if (answer.offset == offset) answers_.Add(answer);
    }
  }
  searched_ = offset;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::vector<Verdict>>> RecordedAnswerLog::Next(Place* place) {
  const absl::StatusOr<std::optional<Message>> message = streams_.Next(place->stream);
  if (!message.ok()) return message.status();
  if (!message->has_value()) return std::optional<std::vector<Verdict>>();
  place->read = (*message)->sequence;
  const auto header = ReadMessageHeader((*message)->header);
  if (!header.ok()) return header.status();
  std::vector<Verdict> answers;
  const bool counts = header->has_value() && place->cursors.Offer(**header) == WriterCursors::Verdict::kTake;
  if (!counts || (*header)->kind != FrameKind::kVerdict) return std::optional(std::move(answers));
  absl::StatusOr<std::vector<Verdict>> verdicts = ParseVerdicts((*message)->payload);
  if (!verdicts.ok()) return verdicts.status();
  for (Verdict& verdict : *verdicts) {
    if (verdict.outcome == Verdict::Outcome::kAnswered) answers.push_back(std::move(verdict));
  }
  return std::optional(std::move(answers));
}

}  // namespace millrace
