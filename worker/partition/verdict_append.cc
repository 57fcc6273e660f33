#include "worker/partition/verdict_append.h"

#include <utility>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kAnswerOverheadBytes = 256;  // of its key and headers, at most
constexpr absl::Duration kTryAgain = absl::Milliseconds(100);

MessageHeader NextVerdict(const PartitionKey& partition, Epoch epoch, const LogTail& tail) {
  const WriterCursors::Cursor cursor = tail.cursors.Get(partition.writer());
  const Mark next = {cursor.mark.offset + 1, 0};
  return {FrameKind::kVerdict, partition.uid, partition.writer(), epoch,
          cursor.mark,         next,          cursor.records + 1};
}

// What goes into one message: a failure alone, answers together up to kMaxAnswersMessageBytes.
absl::Span<const Verdict> MessageOf(const std::vector<Verdict>& verdicts, size_t first) {
  const auto is_answer = [&](size_t i) { return verdicts[i].outcome == Verdict::Outcome::kAnswered; };
  size_t end = first + 1;
  size_t bytes = verdicts[first].reason.size();
  while (is_answer(first) && end < verdicts.size() && is_answer(end)) {
    bytes += verdicts[end].reason.size() + kAnswerOverheadBytes;
    if (bytes > kMaxAnswersMessageBytes) break;
    ++end;
  }
  return absl::MakeConstSpan(verdicts).subspan(first, end - first);
}

}  // namespace

absl::Status AppendVerdicts(Bus& bus, Clock& clock, const PartitionKey& partition, Epoch epoch,
                            const std::vector<Verdict>& verdicts, LogTail* tail, size_t* written) {
  const std::string subject = partition.verdict_subject();
  int tries = 0;
  while (*written < verdicts.size()) {
    const MessageHeader next = NextVerdict(partition, epoch, *tail);
    const std::string header = FormatMessageHeader(next);
    const absl::Span<const Verdict> together = MessageOf(verdicts, *written);
    const std::string payload = EncodeVerdicts(together);
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = payload;
    request.expected_last_sequence = tail->last_sequence;
    const absl::StatusOr<uint64_t> appended = bus.AppendAndWait(request);
    if (appended.ok()) {
      tail->cursors.Offer(next);
      tail->last_sequence = *appended;
      *written += together.size();
      tries = 0;
      if (together.front().outcome == Verdict::Outcome::kAnswered) MILLRACE_FAILPOINT("after_answers");
      MILLRACE_FAILPOINT("after_handler_verdict");
      continue;
    }
    if (++tries > kMaxVerdictTries) return appended.status();
    LogWarning("a verdict was not taken: looking whether it is there", {{"why", appended.status()}});
    if (tries > 1) clock.Sleep(kTryAgain);
    // What stands under the mark may be another message: an earlier order's of which no ack came, or the watchdog's.
    bool stands = false;
    const OnTaken look = [&](const Message& message, const MessageHeader&) {
      stands = stands || message.payload == payload;
      return absl::OkStatus();
    };
    const LogTailRequest rest = {partition.verdict_stream(), tail->last_sequence + 1, /*headers_only=*/false};
    absl::StatusOr<LogTail> now = ReadLogTail(bus, clock, rest, tail->cursors, look);
    if (!now.ok()) return now.status();
    *tail = *std::move(now);
    const WriterCursors::Cursor cursor = tail->cursors.Get(partition.writer());
    if (cursor.epoch > epoch)
      return absl::FailedPreconditionError("a later owner has taken the partition over");
    if (stands) *written += together.size();
  }
  return absl::OkStatus();
}

}  // namespace millrace
