#include "worker/partition/log_tail.h"

#include <vector>

#include "absl/cleanup/cleanup.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr size_t kTailBatch = 1024;

}  // namespace

absl::StatusOr<LogTail> ReadLogTail(Bus& bus, Clock& clock, const LogTailRequest& request,
                                    WriterCursors cursors, const OnTaken& taken) {
  absl::StatusOr<StreamInfo> info = bus.GetStream(request.stream);
  if (!info.ok()) return info.status();
  LogTail tail{std::move(cursors), info->last_sequence};
  if (info->last_sequence + 1 < request.first_sequence) {
    return absl::DataLossError(StrCat(
        "stream ", request.stream, " ends at ", info->last_sequence, ", before ", request.first_sequence - 1,
        " which was seen — it was rolled back — restore the broker's data, or delete the job "
        "and submit it again"));
  }
  if (info->last_sequence + 1 == request.first_sequence) return tail;

  ReaderOptions options;
  options.stream = request.stream;
  options.start_sequence = request.first_sequence;
  options.headers_only = request.headers_only;
  options.name_hint = "tail";
  const ReaderId reader = bus.OpenReader(options);
  const absl::Cleanup close = [&] { bus.CloseReader(reader); };

  std::vector<BusEvent> events;
  absl::Duration heard = clock.Monotonic();
  uint64_t payload_bytes = 0;
  while (true) {
    events.clear();
    bus.Poll(absl::Milliseconds(100), kTailBatch, &events);
    uint32_t messages = 0;
    uint64_t bytes = 0;
    for (BusEvent& event : events) {
      if (event.reader != reader) continue;
      if (event.type == BusEvent::Type::kReaderError) return event.status;
      if (event.type != BusEvent::Type::kMessage) continue;
      ++messages;
      bytes += event.message.payload.size();
      const auto header = ReadMessageHeader(event.message.header);
      if (!header.ok()) {
        return absl::DataLossError(StrCat("message ", event.message.sequence, " of ", request.stream, ": ",
                                          ToStd(header.status().message())));
      }
      const bool counts =
          header->has_value() && tail.cursors.Offer(**header) == WriterCursors::Verdict::kTake;
      if (counts && taken) {
        if (absl::Status status = taken(event.message, **header); !status.ok()) return status;
      }
      payload_bytes += event.message.payload.size();
      if (event.message.sequence >= tail.last_sequence) return tail;
      if (payload_bytes >= request.max_payload_bytes) {
        tail.last_sequence = event.message.sequence;
        return tail;
      }
    }
    if (messages > 0) {
      bus.Grant(reader, messages, bytes);
      heard = clock.Monotonic();
    } else if (clock.Monotonic() - heard > kTailSilenceLimit) {
      return absl::DeadlineExceededError(StrCat("stream ", request.stream, " sent nothing for ",
                                                absl::FormatDuration(kTailSilenceLimit),
                                                " while its tail was read — the broker is slow or "
                                                "overloaded — it is tried again"));
    }
  }
}

}  // namespace millrace
