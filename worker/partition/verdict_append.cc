#include "worker/partition/verdict_append.h"

#include <utility>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kTryAgain = absl::Milliseconds(100);

MessageHeader NextVerdict(const PartitionKey& partition, Epoch epoch, const LogTail& tail) {
  const WriterCursors::Cursor cursor = tail.cursors.Get(partition.writer());
  const Mark next = {cursor.mark.offset + 1, 0};
  return {FrameKind::kVerdict, partition.uid, partition.writer(), epoch,
          cursor.mark,         next,          cursor.records + 1};
}

}  // namespace

std::string VerdictHeader(const PartitionKey& partition, Epoch epoch, const LogTail& tail) {
  return FormatMessageHeader(NextVerdict(partition, epoch, tail));
}

absl::Status AppendVerdicts(Bus& bus, Clock& clock, const PartitionKey& partition, Epoch epoch,
                            const std::vector<Verdict>& verdicts, LogTail* tail, size_t* written) {
  const std::string subject = partition.verdict_subject();
  int tries = 0;
  while (*written < verdicts.size()) {
    const MessageHeader next = NextVerdict(partition, epoch, *tail);
    const std::string header = FormatMessageHeader(next);
    const std::string payload = EncodeVerdict(verdicts[*written]);
    AppendRequest request;
    request.subject = subject;
    request.header = header;
    request.payload = payload;
    request.expected_last_sequence = tail->last_sequence;
    const absl::StatusOr<uint64_t> appended = bus.AppendAndWait(request);
    if (appended.ok()) {
      tail->cursors.Offer(next);
      tail->last_sequence = *appended;
      ++*written;
      tries = 0;
      MILLRACE_FAILPOINT("after_handler_verdict");
      continue;
    }
    if (++tries > kMaxVerdictTries) return appended.status();
    LogWarning("a verdict was not taken: looking whether it is there", {{"why", appended.status()}});
    if (tries > 1) clock.Sleep(kTryAgain);
    absl::StatusOr<LogTail> now =
        ReadLogTail(bus, clock, {partition.verdict_stream(), tail->last_sequence + 1}, tail->cursors);
    if (!now.ok()) return now.status();
    *tail = *std::move(now);
    const WriterCursors::Cursor cursor = tail->cursors.Get(partition.writer());
    if (cursor.epoch > epoch)
      return absl::FailedPreconditionError("a later owner has taken the partition over");
    if (cursor.mark >= next.upto) ++*written;
  }
  return absl::OkStatus();
}

}  // namespace millrace
