#include "worker/partition/answer_window.h"

#include <algorithm>
#include <utility>

#include "common/log.h"

namespace millrace {
namespace {

constexpr absl::Duration kReadAgain = absl::Milliseconds(200);
constexpr uint64_t kReadingsAWindow = 8;

}  // namespace

uint64_t AnswerPartBytes(uint64_t window_bytes) {
  return std::max<uint64_t>(1, window_bytes / kReadingsAWindow);
}

absl::StatusOr<AnswersRead> ReadAnswers(Bus& bus, Clock& clock, const PartitionKey& partition,
                                        const AnswerReading& reading) {
  AnswersRead read;
  const OnTaken keep = [&](const Message& message, const MessageHeader& header) -> absl::Status {
    if (header.kind != FrameKind::kVerdict) return absl::OkStatus();
    absl::StatusOr<std::vector<Verdict>> verdicts = ParseVerdicts(message.payload);
    if (!verdicts.ok()) return verdicts.status();
    for (Verdict& verdict : *verdicts) {
      const bool wanted =
          reading.only.has_value() ? verdict.offset == *reading.only : verdict.offset > reading.done;
      if (wanted && verdict.outcome == Verdict::Outcome::kAnswered)
        read.answers.push_back(std::move(verdict));
    }
    return absl::OkStatus();
  };
  const LogTailRequest request = {partition.verdict_stream(), reading.from.last_sequence + 1,
                                  /*headers_only=*/false, reading.payload_bytes};
  absl::StatusOr<LogTail> tail = ReadLogTail(bus, clock, request, reading.from.cursors, keep);
  if (!tail.ok()) return tail.status();
  read.tail = *std::move(tail);
  return read;
}

AnswerWindow::AnswerWindow(RecordedAnswers* answers, AnswersKept kept, uint64_t end)
    : answers_(answers), max_bytes_(kept.max_bytes), end_(end), tail_(std::move(kept.tail)) {}

std::optional<AnswerReading> AnswerWindow::Next(Offset done, std::optional<Offset> missed,
                                                absl::Duration now) {
  if (at_end() || under_way_.has_value() || now < read_at_) return std::nullopt;
  if (answers_->bytes() < max_bytes_) {
    under_way_ = AnswerReading{tail_, done, std::nullopt, AnswerPartBytes(max_bytes_)};
  } else if (missed.has_value() && MayHave(*missed)) {
    under_way_ = AnswerReading{tail_, done, missed};
  }
  return under_way_;
}

absl::Status AnswerWindow::Take(absl::StatusOr<AnswersRead> read, absl::Duration now) {
  const std::optional<AnswerReading> reading = std::exchange(under_way_, std::nullopt);
  if (!read.ok()) {
    if (absl::IsDataLoss(read.status())) return read.status();
    LogWarning("recorded answers could not be read: they are read again", {{"why", read.status()}});
    read_at_ = now + kReadAgain;
    return absl::OkStatus();
  }
  for (const Verdict& answer : read->answers) answers_->Add(answer);
  if (reading->only.has_value()) {
    searched_ = std::max(searched_, *reading->only);
  } else {
    tail_ = std::move(read->tail);
  }
  return absl::OkStatus();
}

}  // namespace millrace
