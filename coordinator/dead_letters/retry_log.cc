#include "coordinator/dead_letters/retry_log.h"

#include <algorithm>

#include "common/failpoint.h"
#include "common/names.h"
#include "common/signals.h"
#include "common/strings.h"
#include "coordinator/streams/stream_set.h"

namespace millrace {
namespace {

constexpr Epoch kRetryEpoch(1);  // never raised: the marks alone decide

// The outcome will be seen in the log.
bool IsDecidedByTheLog(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsUnavailable(status) ||
         absl::IsDeadlineExceeded(status);
}

}  // namespace

RetryLog::RetryLog(Bus& bus, Clock& clock, const JobRecord& job, const SegmentSpec& segment,
                   PartitionId partition)
    : bus_(bus),
      clock_(clock),
      stream_(InputStream(job.name, segment.id, partition)),
      subject_(InputSubject(job.name, segment.id, partition)),
      feeders_(segment.InputWriters()),
      cursors_(job.uid) {}

absl::Status RetryLog::CatchUp() {
  const auto info = bus_.GetStream(stream_);
  if (!info.ok()) return info.status();
  if (info->first_sequence > 1) {
    return absl::FailedPreconditionError(
        StrCat("the log ", stream_, " begins at ", info->first_sequence,
               " — what was retried before cannot be known — try `retain: all` in the next job"));
  }
  if (info->last_sequence <= read_until_) return absl::OkStatus();
  StreamSet streams(bus_, clock_);
  const auto log = streams.Open({stream_, read_until_ + 1, info->last_sequence, /*headers_only=*/true});
  while (true) {
    const auto message = streams.Next(log);
    if (!message.ok()) return message.status();
    if (!message->has_value()) return absl::OkStatus();
    const auto header = ReadMessageHeader((*message)->header);
    if (!header.ok()) return header.status();
    read_until_ = (*message)->sequence;
    if (header->has_value()) Take(**header, Offset(read_until_));
  }
}

bool RetryLog::Take(const MessageHeader& header, Offset offset) {
  if (cursors_.Offer(header) != WriterCursors::Verdict::kTake) return false;
  if (header.writer == kRetryWriter) retried_.try_emplace(header.letter, offset);
  return true;
}

bool RetryLog::HasEnded() const {
  return std::all_of(feeders_.begin(), feeders_.end(),
                     [this](const std::string& writer) { return cursors_.Get(writer).ended; });
}

std::optional<Offset> RetryLog::Find(const std::string& id) const {
  const auto found = retried_.find(id);
  return found == retried_.end() ? std::nullopt : std::optional<Offset>(found->second);
}

absl::StatusOr<Offset> RetryLog::Append(const std::string& id, std::string_view frame) {
  for (int i = 0; i < kMaxRetryAppends; ++i) {
    if (StopSignals() > 0) return absl::CancelledError("interrupted");
    if (const absl::Status status = CatchUp(); !status.ok()) return status;
    if (const auto there = Find(id)) return *there;
    if (HasEnded()) {
      return absl::FailedPreconditionError(
          "its partition's input has ended, and nothing runs behind the end");
    }
    const WriterCursors::Cursor at = cursors_.Get(kRetryWriter);
    const MessageHeader header = {FrameKind::kData, cursors_.uid(),
                                  kRetryWriter,     kRetryEpoch,
                                  at.mark,          Mark{at.mark.offset + 1, 0},
                                  at.records + 1,   id};
    const std::string text = FormatMessageHeader(header);
    AppendRequest request;
    request.subject = subject_;
    request.header = text;
    request.payload = frame;
    request.expected_last_sequence = read_until_;
    MILLRACE_FAILPOINT("retry_before_append");
    const auto appended = bus_.AppendAndWait(request);
    MILLRACE_FAILPOINT("retry_after_append");
    if (appended.ok()) {
      read_until_ = *appended;
      Take(header, Offset(*appended));
    } else if (!IsDecidedByTheLog(appended.status())) {
      return appended.status();
    } else if (!absl::IsFailedPrecondition(appended.status())) {
      clock_.Sleep(kRetryAmbiguousWait);
    }
  }
  if (const auto there = Find(id)) return *there;
  return absl::DeadlineExceededError(StrCat("letter ", id, " found no place in ", stream_, " in ",
                                            kMaxRetryAppends,
                                            " tries — others append to it at the same time — try again"));
}

}  // namespace millrace
