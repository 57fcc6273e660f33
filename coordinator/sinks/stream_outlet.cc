#include "coordinator/sinks/stream_outlet.h"

#include <vector>

#include "common/failpoint.h"
#include "common/names.h"
#include "common/strings.h"
#include "coordinator/results/result_line.h"

namespace millrace {
namespace {

constexpr absl::Duration kAckDeadline = absl::Seconds(10);  // a replicated stream elects a leader within it
constexpr absl::Duration kAckPoll = absl::Milliseconds(100);
constexpr size_t kAckEvents = 4096;

// A result's headers, but for what would be none in NATS, or one of the broker's.
absl::StatusOr<UserHeaders> HeadersToSend(const RecordView& record) {
  UserHeaders headers;
  if (record.raw_headers.empty()) return headers;
  const absl::StatusOr<HeaderList> list = DecodeHeaders(record.raw_headers);
  if (!list.ok()) return list.status();
  for (const auto& [name, value] : *list) {
    if (IsUserHeader(name) && CanBeSent(name, value)) headers.emplace_back(name, value);
  }
  return headers;
}

}  // namespace

std::string StreamOutlet::ToString() const {
  if (!target_.stream.empty()) return StrCat("stream ", target_.stream, ", subject ", target_.subject);
  return options_.sink.stream.empty() ? StrCat("subject ", options_.sink.subject)
                                      : StrCat("stream ", options_.sink.stream);
}

absl::StatusOr<SinkPosition> StreamOutlet::Begin() {
  absl::StatusOr<TargetStream> target = FindTarget(keys_, options_.sink);
  if (!target.ok()) return target.status();
  target_ = *std::move(target);
  SinkStreamPosition at;
  const absl::StatusOr<KeyValue> there = keys_.GetKey(kAssignmentsBucket, SinkAtKey(options_.uid));
  if (there.ok()) {
    absl::StatusOr<SinkStreamPosition> known = DecodeSinkStreamPosition(there->value);
    if (!known.ok()) return known.status();
    at = *std::move(known);
  } else if (!absl::IsNotFound(there.status())) {
    return there.status();
  }
  at.writer = options_.writer;
  const absl::Status put = keys_.PutKey(kAssignmentsBucket, SinkAtKey(options_.uid), Encode(at)).status();
  if (!put.ok()) return put;
  return at.position;
}

absl::Status StreamOutlet::Put(PartitionId partition, const RecordView& record) {
  std::string line;
  AppendResultLine(record, partition, &line);
  line.pop_back();  // its newline
  const absl::StatusOr<UserHeaders> headers = HeadersToSend(record);
  if (!headers.ok()) return headers.status();
  const size_t bytes = line.size() + record.raw_headers.size();
  const bool is_full =
      in_flight_.size() >= kMaxSinkInFlight || in_flight_bytes_ + bytes > kMaxSinkInFlightBytes;
  if (is_full || keys_in_flight_.contains(ToAbsl(record.key))) {
    if (const absl::Status acked = AwaitAcks(); !acked.ok()) return acked;
  }
  const std::string id =
      StrCat(options_.uid, ".", partition.value(), ".", record.offset.value(), ".", record.index);
  AppendRequest request;
  request.subject = target_.subject;
  request.payload = line;
  request.message_id = id;
  request.cookie = next_cookie_++;
  request.user_headers = &*headers;
  if (const absl::Status sent = publisher_->Append(request); !sent.ok()) {
    return absl::Status(sent.code(), StrCat("result ", id, " was not sent: ", ToStd(sent.message())));
  }
  in_flight_.insert(request.cookie);
  keys_in_flight_.emplace(record.key);
  in_flight_bytes_ += bytes;
  ++uncommitted_;
  return absl::OkStatus();
}

absl::Status StreamOutlet::HandleEvent(const BusEvent& event) {
  if (event.type == BusEvent::Type::kDisconnected || event.type == BusEvent::Type::kReconnected) {
    return absl::UnavailableError("the connection was lost while results were on their way");
  }
  if (event.type != BusEvent::Type::kAppended) return absl::OkStatus();
  if (event.status.ok()) {
    in_flight_.erase(event.cookie);
    return absl::OkStatus();
  }
  // Codes that mean something else of the results' own streams are none of these.
  return absl::UnavailableError(
      StrCat(ToString(), " did not take a result: ", ToStd(event.status.message())));
}

absl::Status StreamOutlet::AwaitAcks() {
  publisher_->Flush();
  const absl::Duration deadline = clock_.Monotonic() + kAckDeadline;
  std::vector<BusEvent> events;
  while (!in_flight_.empty()) {
    events.clear();
    publisher_->Poll(kAckPoll, kAckEvents, &events);
    for (const BusEvent& event : events) {
      if (const absl::Status status = HandleEvent(event); !status.ok()) return status;
    }
    if (events.empty() && clock_.Monotonic() > deadline) {
      return absl::UnavailableError(
          StrCat(ToString(), " has acknowledged nothing for ", absl::FormatDuration(kAckDeadline)));
    }
  }
  keys_in_flight_.clear();
  in_flight_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status StreamOutlet::Commit(const SinkPosition& position) {
  if (const absl::Status acked = AwaitAcks(); !acked.ok()) return acked;
  MILLRACE_FAILPOINT("sink_after_acks");
  const absl::StatusOr<KeyValue> there = keys_.GetKey(kAssignmentsBucket, SinkAtKey(options_.uid));
  if (!there.ok()) return there.status();
  const absl::StatusOr<SinkStreamPosition> known = DecodeSinkStreamPosition(there->value);
  if (!known.ok()) return known.status();
  if (known->writer != options_.writer) return absl::AbortedError("another coordinator brings them out");
  const SinkStreamPosition at = {options_.writer, position};
  const absl::Status put = keys_.PutKey(kAssignmentsBucket, SinkAtKey(options_.uid), Encode(at)).status();
  if (!put.ok()) return put;
  uncommitted_ = 0;
  MILLRACE_FAILPOINT("sink_after_position");
  return absl::OkStatus();
}

absl::Status StreamOutlet::End() { return keys_.DeleteKey(kAssignmentsBucket, SinkAtKey(options_.uid)); }

}  // namespace millrace
