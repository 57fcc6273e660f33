#include "coordinator/streams/stream_set.h"

#include <algorithm>
#include <utility>

#include "common/signals.h"
#include "common/strings.h"

namespace millrace {

StreamSet::~StreamSet() {
  for (const auto& [reader, id] : by_reader_) bus_.CloseReader(reader);
}

StreamSet::Id StreamSet::Open(const StreamRange& range) {
  const Id id = next_id_++;
  Stream& stream = streams_[id];
  stream.range = range;
  stream.received = stream.taken = range.first - 1;
  if (range.first <= range.last) {
    OpenReader(&stream);
    by_reader_[stream.reader] = id;
  }
  return id;
}

void StreamSet::Close(Id id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (by_reader_.erase(found->second.reader) > 0) bus_.CloseReader(found->second.reader);
  streams_.erase(found);
}

void StreamSet::LimitTo(Id id, uint64_t last) {
  Stream& stream = streams_.at(id);
  stream.range.last = last;
  while (!stream.waiting.empty() && stream.waiting.back().sequence > last) stream.waiting.pop_back();
}

void StreamSet::OpenReader(Stream* stream) {
  ReaderOptions options;
  options.stream = stream->range.stream;
  options.start_sequence = stream->received + 1;
  options.headers_only = stream->range.headers_only;
  options.allow_gaps = stream->range.allow_gaps;
  options.name_hint = "cli";
  options.window_messages = stream->range.window_messages;
  options.await_stream = stream->range.await_stream;
  stream->reader = bus_.OpenReader(options);
}

absl::StatusOr<std::optional<Message>> StreamSet::Next(Id id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return absl::InternalError("a stream that was closed is read");
  Stream& stream = found->second;
  const absl::Duration deadline = clock_.Monotonic() + kStreamStallDeadline;
  while (stream.waiting.empty()) {
    if (stream.taken >= stream.range.last) return std::nullopt;
    if (!stream.error.ok()) return stream.error;
    if (const absl::Status status = PollOnce(kPollWait); !status.ok()) return status;
    if (stream.waiting.empty() && clock_.Monotonic() > deadline) {
      return absl::DeadlineExceededError(StrCat("stream ", stream.range.stream,
                                                " went silent before message ", stream.received + 1,
                                                " — is the broker well? — try `coordinator doctor`"));
    }
  }
  return Take(&stream);
}

absl::StatusOr<StreamSet::Arrival> StreamSet::NextOfAny(absl::Duration wait) {
  const absl::Duration deadline = clock_.Monotonic() + wait;
  while (true) {
    auto at = streams_.lower_bound(next_turn_);
    for (size_t n = 0; n < streams_.size(); ++n, ++at) {
      if (at == streams_.end()) at = streams_.begin();
      if (!at->second.waiting.empty()) {
        // Stays with this stream until it has nothing more at hand: keeps its messages together.
        next_turn_ = at->first;
        return Arrival{at->first, Take(&at->second)};
      }
      if (!at->second.error.ok()) return at->second.error;
    }
    if (clock_.Monotonic() >= deadline) return Arrival{};
    next_turn_ = 0;
    if (const absl::Status status = PollOnce(std::min(kPollWait, wait)); !status.ok()) return status;
  }
}

Message StreamSet::Take(Stream* stream) {
  Message message = std::move(stream->waiting.front());
  stream->waiting.pop_front();
  stream->taken = message.sequence;
  bus_.Grant(stream->reader, 1, message.payload.size());
  return message;
}

absl::Status StreamSet::PollOnce(absl::Duration wait) {
  if (StopSignals() > 0) return absl::CancelledError("interrupted");
  events_.clear();
  bus_.Poll(wait, kPollEvents, &events_);
  for (BusEvent& event : events_) {
    const auto found = by_reader_.find(event.reader);
    if (found == by_reader_.end()) continue;
    Stream& stream = streams_.at(found->second);
    if (event.type == BusEvent::Type::kMessage) {
      HandleMessage(&stream, std::move(event.message));
    } else if (event.type == BusEvent::Type::kReaderError) {
      HandleReaderError(&stream, event.status);
    }
  }
  return absl::OkStatus();
}

void StreamSet::HandleMessage(Stream* stream, Message message) {
  if (message.sequence <= stream->received) return;
  stream->reopens = 0;
  stream->received = message.sequence;
  // The reader runs on behind the end; what was appended meanwhile is not part of the range.
  if (message.sequence <= stream->range.last) stream->waiting.push_back(std::move(message));
}

void StreamSet::HandleReaderError(Stream* stream, const absl::Status& status) {
  const auto node = by_reader_.extract(stream->reader);
  if (stream->received >= stream->range.last) return;
  if (absl::IsNotFound(status) || ++stream->reopens > kMaxStreamReopens) {
    stream->error = status;
    return;
  }
  const Id id = node.mapped();
  OpenReader(stream);
  by_reader_[stream->reader] = id;
}

}  // namespace millrace
