#include "coordinator/sinks/sink_session.h"

#include <algorithm>
#include <utility>

#include "common/failpoint.h"
#include "common/names.h"
#include "common/strings.h"

namespace millrace {
namespace {

constexpr absl::Duration kEndInterval =
    absl::Milliseconds(500);  // between questions whether the job has ended
constexpr absl::Duration kReportInterval = absl::Seconds(1);
constexpr uint32_t kWaitingMessages = 1024;  // in memory, of all partitions together
constexpr uint32_t kMinWaitingMessages = 8;  // of one

WriterCursors::Cursor CursorOf(const SinkPartition& at) {
  WriterCursors::Cursor cursor;
  cursor.epoch = Epoch(at.epoch);
  cursor.mark = {at.offset, at.index};
  cursor.ended = at.ended;
  return cursor;
}

// The stream is the one of which the position speaks, and still holds what it stands behind.
absl::Status CheckStream(const StreamInfo& stream, const SinkPartition& at) {
  if (at.created_ns == stream.created_ns && at.sequence <= stream.last_sequence) return absl::OkStatus();
  return absl::DataLossError(StrCat(
      "stream ", stream.config.name, at.created_ns == stream.created_ns ? " lost its end" : " was made anew",
      " behind message ", at.sequence, ", up to which results are out — was the broker's disk restored?"));
}

}  // namespace

void TellSinkTrouble(Bus& bus, const std::string& uid, const std::string& to, std::string_view trouble) {
  const absl::StatusOr<KeyValue> there = bus.GetKey(kAssignmentsBucket, SinkKey(uid));
  const absl::StatusOr<SinkReport> known = there.ok() ? DecodeSinkReport(there->value) : there.status();
  SinkReport said = known.ok() ? *known : SinkReport();
  if (known.ok() && said.trouble == trouble) return;
  said.to = to;
  said.trouble = trouble;
  bus.PutKey(kAssignmentsBucket, SinkKey(uid), Encode(said)).IgnoreError();
}

SinkSession::SinkSession(const JobRecord& job, Outlet& outlet, Bus& bus, Clock& clock, Counter records_out)
    : job_(job),
      outlet_(outlet),
      bus_(bus),
      clock_(clock),
      records_out_(std::move(records_out)),
      streams_(bus, clock),
      look_at_(clock.Monotonic()),
      tell_at_(clock.Monotonic() + kReportInterval) {}

absl::StatusOr<std::unique_ptr<SinkSession>> SinkSession::Create(const JobRecord& job, Outlet& outlet,
                                                                 Bus& bus, Clock& clock,
                                                                 Counter records_out) {
  std::unique_ptr<SinkSession> session(new SinkSession(job, outlet, bus, clock, std::move(records_out)));
  const absl::StatusOr<SinkPosition> position = outlet.Begin();
  if (!position.ok()) return position.status();
  if (const absl::Status opened = session->Open(*position); !opened.ok()) return opened;
  return session;
}

absl::Status SinkSession::Open(const SinkPosition& position) {
  const uint32_t count = job_.partitions_of(job_.last_segment());
  if (!position.partitions.empty() && position.partitions.size() != count) {
    return absl::FailedPreconditionError(StrCat("what is noted beside the results is of ",
                                                position.partitions.size(), " partitions, the job has ",
                                                count, " — somebody else has changed it"));
  }
  records_ = committed_records_ = position.records;
  const uint32_t window = std::max(kMinWaitingMessages, kWaitingMessages / count);
  partitions_.reserve(count);
  for (uint32_t p = 0; p < count; ++p) {
    const std::string name = ResultStream(job_.name, PartitionId(p));
    const absl::StatusOr<StreamInfo> stream = bus_.GetStream(name);
    if (!stream.ok()) return stream.status();
    SinkPartition at;
    at.created_ns = stream->created_ns;
    if (!position.partitions.empty()) at = position.partitions[p];
    if (const absl::Status same = CheckStream(*stream, at); !same.ok()) return same;
    Partition& partition = partitions_.emplace_back(
        Partition{PartitionId(p), 0, ResultCursor(job_.uid, job_.last_segment(), PartitionId(p)), at});
    partition.cursor.Restore(CursorOf(at));
    if (at.ended) continue;
    partition.stream =
        streams_.Open({.stream = name, .first = at.sequence + 1, .last = kNoEnd, .window_messages = window});
    by_stream_[partition.stream] = p;
  }
  return absl::OkStatus();
}

absl::Status SinkSession::Turn(absl::Duration wait) {
  if (!by_stream_.empty()) {
    absl::StatusOr<StreamSet::Arrival> arrival = streams_.NextOfAny(wait);
    if (!arrival.ok()) return arrival.status();
    if (arrival->message.has_value()) {
      const absl::Status taken = Take(partitions_[by_stream_.at(arrival->id)], *arrival->message);
      if (!taken.ok()) return taken;
    } else if (const absl::Status flushed = outlet_.Flush(); !flushed.ok()) {
      return flushed;
    }
  }
  if (const absl::Status committed = CommitIfDue(); !committed.ok()) return committed;
  if (by_stream_.empty()) return Finish();
  if (clock_.Monotonic() >= tell_at_) Tell();
  return clock_.Monotonic() < look_at_ ? absl::OkStatus() : LookAtEnd();
}

absl::Status SinkSession::Take(Partition& partition, const Message& message) {
  const absl::Status taken = partition.cursor.Take(message, [&](const RecordView& record) {
    ++records_;
    return outlet_.Put(partition.id, record);
  });
  if (!taken.ok()) return taken;
  const Mark mark = partition.cursor.mark();
  partition.at.sequence = message.sequence;
  partition.at.epoch = partition.cursor.epoch().value();
  partition.at.offset = mark.offset;
  partition.at.index = mark.index;
  partition.at.ended = partition.cursor.ended();
  if (!dirty_since_.has_value()) dirty_since_ = clock_.Monotonic();
  if (!partition.at.ended) return absl::OkStatus();
  by_stream_.erase(partition.stream);
  streams_.Close(partition.stream);
  return absl::OkStatus();
}

absl::Status SinkSession::CommitIfDue() {
  if (!dirty_since_.has_value()) return absl::OkStatus();
  const bool due = outlet_.full() || clock_.Monotonic() - *dirty_since_ >= outlet_.commit_interval();
  return due ? Commit() : absl::OkStatus();
}

absl::Status SinkSession::Commit() {
  if (!dirty_since_.has_value()) return absl::OkStatus();
  SinkPosition position;
  position.records = records_;
  for (const Partition& partition : partitions_) position.partitions.push_back(partition.at);
  if (const absl::Status committed = outlet_.Commit(position); !committed.ok()) return committed;
  records_out_.Add(static_cast<double>(records_ - committed_records_));
  committed_records_ = records_;
  dirty_since_.reset();
  return absl::OkStatus();
}

// A job that completed has an end mark in each result stream, and these are waited for.
absl::Status SinkSession::LookAtEnd() {
  const absl::Duration now = clock_.Monotonic();
  look_at_ = now + kEndInterval;
  if (!settled_at_.has_value()) {
    const absl::StatusOr<KeyValue> entry = bus_.GetKey(kAssignmentsBucket, FinalKey(job_.uid));
    if (absl::IsNotFound(entry.status())) return absl::OkStatus();
    if (!entry.ok()) return entry.status();
    const absl::StatusOr<FinalStatus> final = DecodeFinalStatus(entry->value);
    if (!final.ok()) return final.status();
    if (final->state == "completed") return absl::OkStatus();
    settled_at_ = now + kSinkSettleTime;
  }
  return now < *settled_at_ ? absl::OkStatus() : LookAtEnds();
}

absl::Status SinkSession::LookAtEnds() {
  if (ends_.empty()) {
    for (const Partition& partition : partitions_) {
      const absl::StatusOr<StreamInfo> stream = bus_.GetStream(ResultStream(job_.name, partition.id));
      if (!stream.ok()) return stream.status();
      ends_.push_back(stream->last_sequence);
    }
  }
  for (size_t p = 0; p < partitions_.size(); ++p) {
    if (!partitions_[p].at.ended && partitions_[p].at.sequence < ends_[p]) return absl::OkStatus();
  }
  return Finish();
}

absl::Status SinkSession::Finish() {
  if (const absl::Status committed = Commit(); !committed.ok()) return committed;
  MILLRACE_FAILPOINT("sink_before_done");
  const SinkReport report = {outlet_.ToString(), records_, ""};
  const absl::Status made =
      bus_.CreateKey(kAssignmentsBucket, SinkDoneKey(job_.uid), Encode(report)).status();
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  MILLRACE_FAILPOINT("sink_before_end");
  done_ = true;
  return outlet_.End();
}

void SinkSession::Tell() {
  tell_at_ = clock_.Monotonic() + kReportInterval;
  SinkReport now = {outlet_.ToString(), committed_records_, ""};
  if (now == told_) return;
  // Without it people see less: no reason to stop.
  if (bus_.PutKey(kAssignmentsBucket, SinkKey(job_.uid), Encode(now)).ok()) told_ = std::move(now);
}

}  // namespace millrace
